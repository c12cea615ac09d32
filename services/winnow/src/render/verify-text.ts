import type { LedgerReport, Problem } from '@winnow/query'

/** What `winnow verify` prints for people. */
export function verifyText(report: LedgerReport): string {
  const { window, received, offending, problems } = report
  const headline = report.balanced ? 'BALANCED' : 'NOT BALANCED'
  const of = report.full ? 'all that is retained' : 'the window that is kept up with the log'
  const lines = [
    `${headline}  ${received} spans received from ${window.from ?? '-'} to ${window.to ?? '-'}`,
    `${report.shortened ? 'The youngest part of what is retained' : `Read: ${of}`}.`,
    '',
    ...rows.map(([name, key]) => `  ${name.padEnd(18)} ${String(report[key]).padStart(12)}`),
  ]
  if (report.imbalance !== 0) {
    lines.push(`  ${'out of balance by'.padEnd(18)} ${String(report.imbalance).padStart(12)}`)
  }
  if (offending.length > 0) {
    const shown =
      offending.length < problems ? `the first ${offending.length} of ${problems}` : problems
    lines.push('', `Problems: ${shown}`, ...offending.map(problemText))
  }
  return `${lines.join('\n')}\n`
}

const rows = [
  ['duplicate', 'duplicate'],
  ['kept', 'kept'],
  ['dropped', 'dropped'],
  ['pending', 'pending'],
  ['lost to retention', 'lostToRetention'],
  ['missing', 'missing'],
  ['doubled', 'doubled'],
] as const

function problemText({ problem, tenant, traceId, ref, decision, detail }: Problem): string {
  const whose = traceId === null ? '' : ` ${traceId} of ${tenant}`
  const where = `spans/${ref.partition}@${ref.offset}+${ref.start}`
  const by = decision === undefined ? '' : `, decisions/${decision.partition}@${decision.offset}`
  return `  ${problem}${whose} (${where}${by}): ${detail}`
}
