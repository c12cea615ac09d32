import type { EstimateAnswer } from '@winnow/query'

type Estimate = EstimateAnswer['traces']
type Show = (value: number) => string

/** What all traces are like, with the interval of every figure; a figure without one is certain. Pure. */
export function estimateText(answer: EstimateAnswer): string {
  const { traces, kept, rules, sums, durationMs, strata, leftOut } = answer
  const lines = [
    `${counted(traces.value)} traces${windowText(answer.window)}, from ${counted(kept)} kept ones. 95 % intervals; = is certain.`,
    '',
    row('', 'estimate', 'from', 'to'),
    estimateRow('traces', traces, counted),
    ...sumRows(sums),
    ...quantileRows(durationMs),
    '',
    row('rule', 'share', 'from', 'to', 'traces', 'kept'),
    ...rules.map(({ rule, share, traces: matched, kept: seen }) =>
      estimateRow(rule, share, percent, counted(matched.value), counted(seen)),
    ),
    ...(answer.rulesOmitted > 0 ? [`  and ${answer.rulesOmitted} more rules`] : []),
    '',
    row('stratum', 'traces', 'from', 'to', 'kept'),
    ...strata.map(one => estimateRow(one.stratum, one.traces, counted, counted(one.kept))),
    ...leftOutLines(leftOut),
    `Searched: ${answer.tiersSearched.join(', ')}.`,
  ]
  return `${lines.join('\n')}\n`
}

function sumRows({ inputTokens, outputTokens, costUsd }: EstimateAnswer['sums']): string[] {
  return [
    estimateRow('input tokens', inputTokens, counted),
    estimateRow('output tokens', outputTokens, counted),
    estimateRow('cost, US dollars', costUsd, dollars),
  ]
}

function quantileRows({ p50, p90, p95, p99 }: EstimateAnswer['durationMs']): string[] {
  return Object.entries({ p50, p90, p95, p99 }).map(([name, estimate]) =>
    estimateRow(`duration ${name}, ms`, estimate, counted),
  )
}

function leftOutLines({ requested, late, inherited }: EstimateAnswer['leftOut']): string[] {
  return [
    ...(requested > 0
      ? [`${counted(requested)} kept because somebody asked for them stand for no other.`]
      : []),
    ...(late > 0
      ? [`${counted(late)} whose outcome came too late to rescue their like stand for no other.`]
      : []),
    ...(inherited > 0
      ? [`${counted(inherited)} that no rule would keep any more stand for no other.`]
      : []),
  ]
}

function windowText({ since, until }: EstimateAnswer['window']): string {
  return `${since === null ? '' : ` since ${since}`}${until === null ? '' : ` until ${until}`}`
}

function estimateRow(
  name: string,
  estimate: Estimate | null,
  show: Show,
  ...more: readonly string[]
): string {
  if (estimate === null) return row(name, '–', '', '', ...more)
  const { value, low, high } = estimate
  if (low === high) return row(name, show(value), '=', '=', ...more)
  return row(name, show(value), show(low), high === null ? 'unknown' : show(high), ...more)
}

function row(name: string, ...cells: readonly string[]): string {
  return `  ${name.padEnd(22)} ${cells.map(cell => cell.padStart(12)).join(' ')}`.trimEnd()
}

function counted(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function dollars(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: 4 })
}

function percent(value: number): string {
  return `${(100 * value).toLocaleString('en-US', { maximumSignificantDigits: 3 })} %`
}
