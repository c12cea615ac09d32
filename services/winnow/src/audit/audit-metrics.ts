import { Metrics } from '@winnow/runtime'
import { type AuditReport, findingKinds } from './audit.ts'

/**
 * The report as Prometheus reads it from a file (node_exporter's textfile collector) or a push gateway: a
 * scheduler runs the audit, and no process of the pipeline pays for it.
 */
export async function auditMetrics(report: AuditReport, nowMs: number): Promise<string> {
  const { folders, hot, counts } = report
  const metrics = new Metrics()
  // What was found before and is no more has to become 0.
  for (const kind of findingKinds) metrics.auditFindings.set({ kind }, counts[kind] ?? 0)
  for (const { where, differenceBytes } of folders) {
    metrics.auditDifference.set({ tier: where.slice(0, -1) }, differenceBytes)
  }
  if (hot !== null) metrics.auditDifference.set({ tier: 'hot' }, hot.differenceBytes)
  const scope = hot === null ? 'blobs' : 'all'
  metrics.auditFinished.set({ scope }, Math.floor(nowMs / 1_000))
  const names = ['findings', 'difference_bytes', 'finished_timestamp_seconds']
  const texts = names.map(name => metrics.registry.getSingleMetricAsString(`winnow_audit_${name}`))
  return `${(await Promise.all(texts)).join('\n')}\n`
}
