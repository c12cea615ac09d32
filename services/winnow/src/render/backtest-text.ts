import type { BacktestReport } from '@winnow/sampler'

/** What a policy would have kept, for people. */
export function backtestText(report: BacktestReport): string {
  const { kept, rules, tiers, flips, calibratedFrom } = report
  const lines = [
    `${report.policy} on ${report.traces} traces (${report.decisions} decisions) since ${report.since}`,
    '',
    row('', 'decided', 'would be', 'change'),
    row(
      'traces kept',
      kept.before.traces,
      kept.after.traces,
      change(kept.before.traces, kept.after.traces),
    ),
    row('share kept', percent(kept.before.share), percent(kept.after.share), ''),
  ]
  for (const [tier, { before, after }] of Object.entries(tiers)) {
    lines.push(row(`${tier} bytes`, bytes(before), bytes(after), change(before, after)))
  }
  lines.push('', row('by primary rule', 'traces', 'would be', 'warm bytes'))
  for (const { rule, before, after, warm } of rules) {
    lines.push(row(rule, before.traces, after.traces, bytes(warm.after)))
  }
  lines.push('', `${flips.toKeep} drops would be kept, ${flips.toDrop} keeps would be dropped`)
  lines.push(badText(report), '', ...approximations(report, calibratedFrom))
  return lines.join('\n')
}

function badText({ knownBad }: BacktestReport): string {
  const { source, found, notFound, lost, missed, lostIds } = knownBad
  const what = source === 'file' ? 'known-bad traces named' : 'traces with a failed outcome'
  const more = [
    ...(missed > 0 ? [`${missed} were dropped already`] : []),
    ...(notFound > 0 ? [`${notFound} are in no decision of the window`] : []),
  ]
  const head = `${found} ${what}: ${lost === 0 ? 'none is lost' : `${lost} LOST`}${more.length > 0 ? `; ${more.join('; ')}` : ''}`
  const shown = lostIds.slice(0, 10).map(id => `  lost ${id}`)
  const rest = lost > shown.length ? [`  and ${lost - shown.length} more (--json lists them)`] : []
  return [head, ...shown, ...rest].join('\n')
}

/** What of it is reckoned, and from what. */
function approximations(report: BacktestReport, calibratedFrom: number): string[] {
  const { gone, partial, unasked, ceilings, decisions, tookMs } = report
  const seconds = tookMs / 1000
  return [
    calibratedFrom === 0
      ? 'warm and cold: no object of the window to reckon their bytes from'
      : `warm and cold are reckoned from ${calibratedFrom} segments of the window; hot counts slices as they were sent`,
    ...(gone > 0
      ? [`${gone} traces were kept too late for their bytes, or erased; they are in no share`]
      : []),
    ...(partial > 0
      ? [`${partial} traces have slices before the window, and are judged without them`]
      : []),
    ...(unasked > 0
      ? [`${unasked} traces were decided by a policy without this one's slow rules`]
      : []),
    ...(ceilings > 0 ? ['its ceilings are left out: it keeps that much at most'] : []),
    `${decisions} decisions in ${seconds.toFixed(1)} s, ${Math.round(decisions / Math.max(0.001, seconds))} a second`,
  ]
}

function row(name: string, ...cells: readonly (number | string)[]): string {
  return `${name.padEnd(18)}${cells.map(cell => String(cell).padStart(14)).join('')}`.trimEnd()
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`
}

function change(before: number | null, after: number | null): string {
  if (before === null || after === null || before === 0) return ''
  const part = (after / before - 1) * 100
  return `${part >= 0 ? '+' : ''}${part.toFixed(1)} %`
}

function bytes(count: number | null): string {
  if (count === null) return 'unknown'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let at = 0
  let value = count
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024
    at++
  }
  return `${at === 0 ? value : value.toFixed(1)} ${units[at]}`
}
