import type { SamplingReport } from '@winnow/query'

/** Kept and dropped, with a bar for every rule. Pure. */
export function samplingText(report: SamplingReport): string {
  const decided = report.kept + report.dropped
  const services = report.services.slice(0, servicesShownMax)
  const unlisted = report.services.length - services.length + report.servicesOmitted
  const ruleWidth = widthOf(18, report.rules, ({ name }) => name)
  const serviceWidth = widthOf(24, services, ({ service }) => service)
  const since = report.since === null ? 'in the retained decisions' : `since ${report.since}`
  const lines = [
    `${report.kept} of ${decided} traces kept (${percent(report.keptRatio)}) ${since}.`,
    ...(report.awaiting > 0 ? [`${report.awaiting} await their spans.`] : []),
    ...(report.gone > 0
      ? [`${report.gone} should be kept, but their bytes had left the bus.`]
      : []),
    ...(report.forgotten > 0
      ? [
          `${report.forgotten} more were decided and are no longer remembered (query.foldBytesMax): these counts lack them.`,
        ]
      : []),
    '',
    `  ${'rule'.padEnd(ruleWidth)} ${'primary'.padStart(8)} ${'any'.padStart(8)}`,
    ...report.rules
      .toSorted((a, b) => b.primary - a.primary)
      .map(rule => {
        const bar = '█'.repeat(Math.round((30 * rule.primary) / Math.max(report.kept, 1)))
        return `  ${rule.name.padEnd(ruleWidth)} ${String(rule.primary).padStart(8)} ${String(rule.any).padStart(8)}  ${bar}`.trimEnd()
      }),
    '',
    `  ${'service'.padEnd(serviceWidth)} ${'kept'.padStart(8)} ${'dropped'.padStart(8)}`,
    ...services.map(
      ({ service, kept, dropped }) =>
        `  ${(service || '(none)').padEnd(serviceWidth)} ${String(kept).padStart(8)} ${String(dropped).padStart(8)}`,
    ),
    ...(unlisted > 0 ? [`  and ${unlisted} services more`] : []),
  ]
  return `${lines.join('\n')}\n`
}

const servicesShownMax = 20

function widthOf<T>(min: number, rows: readonly T[], nameOf: (row: T) => string): number {
  return Math.max(min, ...rows.map(row => nameOf(row).length))
}

function percent(ratio: number | null): string {
  return ratio === null ? 'none decided yet' : `${Math.round(ratio * 1000) / 10} %`
}
