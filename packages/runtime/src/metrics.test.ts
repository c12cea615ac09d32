import { expect, test } from 'vitest'
import { labelValuesMax, Metrics } from './metrics.ts'

test('a label keeps its first values and calls the rest other', () => {
  const metrics = new Metrics()
  for (let i = 0; i < labelValuesMax; i++) expect(metrics.capped('tenant', `t${i}`)).toBe(`t${i}`)
  expect(metrics.capped('tenant', 'one too many')).toBe('other')
  expect(metrics.capped('tenant', 't0')).toBe('t0')
  expect(metrics.capped('service', 'another label')).toBe('another label')
})

test('metrics are exposed by their documented names', async () => {
  const metrics = new Metrics()
  metrics.spansReceived.inc({ tenant: 'default', transport: 'grpc' }, 8)
  expect(await metrics.text()).toContain(
    'winnow_spans_received_total{tenant="default",transport="grpc"} 8',
  )
})
