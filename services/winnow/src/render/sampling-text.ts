import type { SamplingReport } from '@winnow/query'

/** Kept and dropped, with a bar for every rule. Pure. */
export function samplingText(report: SamplingReport): string {
  const decided = report.kept + report.dropped
  const since = report.since === null ? 'in the retained decisions' : `since ${report.since}`
  const lines = [
    `${report.kept} of ${decided} traces kept (${percent(report.keptRatio)}) ${since}.`,
    ...(report.awaiting > 0 ? [`${report.awaiting} await their spans.`] : []),
    ...(report.gone > 0
      ? [`${report.gone} should be kept, but their bytes had left the bus.`]
      : []),
    '',
    `  ${'rule'.padEnd(18)} ${'primary'.padStart(8)} ${'any'.padStart(8)}`,
    ...report.rules
      .toSorted((a, b) => b.primary - a.primary)
      .map(rule => {
        const bar = '█'.repeat(Math.round((30 * rule.primary) / Math.max(report.kept, 1)))
        return `  ${rule.name.padEnd(18)} ${String(rule.primary).padStart(8)} ${String(rule.any).padStart(8)}  ${bar}`.trimEnd()
      }),
    '',
    `  ${'service'.padEnd(24)} ${'kept'.padStart(8)} ${'dropped'.padStart(8)}`,
    ...report.services
      .slice(0, servicesShownMax)
      .map(
        ({ service, kept, dropped }) =>
          `  ${(service || '(none)').padEnd(24)} ${String(kept).padStart(8)} ${String(dropped).padStart(8)}`,
      ),
  ]
  return `${lines.join('\n')}\n`
}

const servicesShownMax = 20

function percent(ratio: number | null): string {
  return ratio === null ? 'none decided yet' : `${Math.round(ratio * 1000) / 10} %`
}
