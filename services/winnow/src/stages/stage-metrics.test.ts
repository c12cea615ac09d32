import { Metrics } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { stageNames } from './stage.ts'
import { processMetrics, stageMetrics } from './stage-metrics.ts'

const namesOf = (all: readonly object[]): string[] => all.map(one => Reflect.get(one, 'name'))

test('a stage shows what it counts, and no zeros of the others', async () => {
  expect(namesOf(await stageMetrics('receiver', new Metrics()))).toEqual([
    'winnow_spans_received_total',
    'winnow_spans_rejected_total',
    'winnow_redacted_total',
    'winnow_unscanned_texts_total',
    'winnow_requests_refused_total',
    'winnow_receiver_inflight_bytes',
    'winnow_receiver_inflight_bytes_max',
    'winnow_source_messages_total',
    'winnow_source_set_aside_total',
    'winnow_source_lag_messages',
    'winnow_problems_total',
  ])
  // A gauge says that nothing is wrong also before anything has come.
  expect(await stageMetrics('query', new Metrics())).toMatchObject([
    { name: 'winnow_unscanned_texts_total', values: [] },
    { name: 'winnow_blob_requests_total', values: [] },
    { name: 'winnow_blob_retries_total', values: [] },
    { name: 'winnow_blob_bytes_total', values: [] },
    { name: 'winnow_ledger_imbalance_spans', values: [{ value: 0 }] },
    { name: 'winnow_trace_buffer_up', values: [] },
    { name: 'winnow_problems_total', values: [] },
  ])
})

test('every metric is shown by a stage, or by the process', async () => {
  const metrics = new Metrics({ processMetrics: true })
  metrics.busLagRecords.set({ group: 'g' }, 1)
  metrics.busLagSeconds.set({ group: 'g' }, 1)
  metrics.busRetention.set({ group: 'g' }, 1)
  metrics.diskFree.set({ folder: 'data' }, 1)
  metrics.diskSize.set({ folder: 'data' }, 1)
  metrics.admissionPressure.set({ by: 'writer' }, 0)
  metrics.tlsCertificateExpires.set({ file: 'certFile' }, 1)
  metrics.reloads.inc({ what: 'keys', result: 'applied' })
  metrics.auditFindings.set({ kind: 'orphan' }, 1)
  metrics.auditDifference.set({ tier: 'hot' }, 1)
  metrics.auditFinished.set({ scope: 'all' }, 1)
  const shown = new Set(namesOf(await processMetrics(metrics)))
  for (const name of stageNames) {
    for (const one of namesOf(await stageMetrics(name, metrics))) shown.add(one)
  }
  const all = namesOf(await metrics.registry.getMetricsAsJSON())
  const withValues = all.filter(name => name.startsWith('winnow_'))
  expect(withValues.filter(name => !shown.has(name))).toEqual([])
  expect(shown).toContain('process_cpu_seconds_total')
})

test('a process without a group says nothing of lag', async () => {
  const names = namesOf(await processMetrics(new Metrics({ processMetrics: true })))
  expect(names.filter(name => name.startsWith('winnow_'))).toEqual([])
})
