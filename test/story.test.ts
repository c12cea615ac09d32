// The pipeline's story, to be read from top to bottom.

import { tracesFromJson } from '@winnow/otlp'
import {
  OtlpClient,
  sameSpans,
  sentSpans,
  trace48f,
  trace48fId,
  trace48fSpanIds,
  trace48fTwin,
  trace48fTwinId,
} from '@winnow/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningWinnow, startWinnow } from './support/winnow-process.ts'

/** The names that dashboards are built on; a renamed one is a broken dashboard. */
const metricNames = [
  'winnow_spans_received_total',
  'winnow_spans_rejected_total',
  'winnow_open_traces',
  'winnow_traces_closed_total',
  'winnow_decisions_total',
  'winnow_kept_ratio',
  'winnow_full_resolution_traces_per_error',
  'winnow_decision_delay_seconds',
  'winnow_rescued_total',
  'winnow_evaluations_total',
  'winnow_tier_bytes_total',
  'winnow_tier_objects_total',
  'winnow_bus_lag_records',
  'winnow_bus_lag_seconds',
  'winnow_lost_to_retention_spans_total',
]

let running: RunningWinnow

beforeAll(async () => {
  running = await startWinnow()
})

afterAll(async () => {
  await running.stop()
  running.clean()
})

// biome-ignore lint/suspicious/noExplicitAny: bodies are what the assertions are about.
async function ask(path: string, body?: unknown): Promise<{ status: number; body: any }> {
  const response = await fetch(
    `http://${running.api}${path}`,
    body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) },
  )
  return { status: response.status, body: await response.json() }
}

const why = async (id: string) => (await ask(`/api/v1/traces/${id}/why`)).body
const becomes = (id: string, state: string) =>
  expect.poll(async () => (await why(id)).state, { timeout: 20_000 }).toBe(state)

test('an agent answers wrongly, and every one of its eight spans says OK', async () => {
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
  const sent = trace48f({ startMs: Date.now() })
  const answer = await client.sendTraces(sent)
  client.close()
  expect(answer).toMatchObject({ acknowledged: true, rejected: 0 })
  expect(sentSpans(sent).map(({ span }) => span.status.code)).toEqual(Array(8).fill(1))

  await becomes(trace48fId, 'kept')
  const { spans } = await expectTrace(trace48fId)
  const got = tracesFromJson(await otlpText(trace48fId)).data
  expect(sameSpans(sentSpans(sent), sentSpans(got))).toBeNull()
  expect(spans).toHaveLength(8)
})

test('it is kept because the citation check failed and CSAT is 2, although the judge passed it', async () => {
  const answer = await why(trace48fId)
  expect(answer).toMatchObject({
    primary: 'citation-failed',
    closeReason: 'root',
    complete: true,
    spanCount: 8,
  })
  const matched = answer.rules.filter((rule: { matched: boolean }) => rule.matched)
  expect(matched.map((rule: { name: string }) => rule.name)).toEqual([
    'citation-failed',
    'low-csat',
    'outcome-failed',
    'ordinary',
  ])
  expect(matched[0]).toMatchObject({
    spanId: trace48fSpanIds['07_cite'],
    detail: { extracted: 2, supported: 1, unsupported: 1 },
  })
  expect(matched[1]).toMatchObject({ value: 2, threshold: 2, spanId: trace48fSpanIds['01_root'] })
  const judge = answer.rules.find((rule: { name: string }) => rule.name === 'judge-failed')
  expect(judge).toMatchObject({ matched: false })
})

test('the model, tokens and cost of a span are told under one set of names', async () => {
  const { spans } = await expectTrace(trace48fId)
  const generate = spans.find((span: { name: string }) => span.name === 'llm.generate')
  expect(generate.genAi).toMatchObject({
    provider: 'anthropic',
    model: 'claude-3-5-sonnet-20241022',
    inputTokens: 1870,
    outputTokens: 180,
    costUsd: 0.00831,
  })
  expect(generate.resource.attributes).toContainEqual({
    key: 'service.name',
    value: { stringValue: 'refund-bot' },
  })
})

test('its healthy twin draws the same number and is dropped, and why says so', async () => {
  const client = new OtlpClient({ transport: 'http-json', address: running.otlpHttp })
  await client.sendTraces(trace48fTwin({ startMs: Date.now() }))
  client.close()
  await becomes(trace48fTwinId, 'dropped')
  const answer = await why(trace48fTwinId)
  expect(answer).toMatchObject({
    verdict: 'drop',
    primary: 'ordinary',
    adjustedCount: 0,
    spanCount: 8,
  })
  expect(answer.rules).toHaveLength(8)
  expect(
    answer.rules.filter((rule: { matched: boolean }) => rule.matched).length,
  ).toBeLessThanOrEqual(1)
  expect(Date.parse(answer.bytesReadableUntil)).toBeGreaterThan(Date.now() + 23 * 3_600_000)
  const missing = await ask(`/api/v1/traces/${trace48fTwinId}`)
  expect(missing).toMatchObject({
    status: 404,
    body: { why: { state: 'dropped' }, tiersSearched: ['hot'] },
  })
})

test('four minutes later its customer answers with 1, and the dropped trace comes back whole', async () => {
  const told = await ask('/api/v1/evaluations', {
    traceId: trace48fTwinId,
    name: 'csat',
    score: 1,
    id: 'survey-1',
  })
  expect(told).toEqual({
    status: 202,
    body: { evaluations: [{ id: `${trace48fTwinId}.survey-1`, state: 'accepted' }] },
  })
  await becomes(trace48fTwinId, 'kept')
  expect(await why(trace48fTwinId)).toMatchObject({
    revision: 2,
    primary: 'low-csat',
    stratum: 'rescued',
    cause: 'evaluation',
    adjustedCount: 1,
  })
  const { body } = await ask(`/api/v1/evaluations/${trace48fTwinId}.survey-1`)
  expect(body).toMatchObject({ state: 'rescued', name: 'csat', score: 1 })
  await expect
    .poll(async () => (await ask(`/api/v1/traces/${trace48fTwinId}`)).status, { timeout: 10_000 })
    .toBe(200)
  const got = tracesFromJson(await otlpText(trace48fTwinId)).data
  expect(sentSpans(got)).toHaveLength(8)
})

test('an evaluation that comes before its trace waits for it and is applied', async () => {
  const early = '5'.repeat(32)
  await ask('/api/v1/evaluations', { traceId: early, name: 'judge', label: 'fail' })
  await becomes(early, 'awaiting')
  const client = new OtlpClient({ transport: 'http-protobuf', address: running.otlpHttp })
  const twin = trace48fTwin({ startMs: Date.now() })
  const renamed = JSON.parse(
    JSON.stringify(twin, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)),
    (_, value) =>
      typeof value === 'string' && /^\d+n$/.test(value)
        ? BigInt(value.slice(0, -1))
        : value === trace48fTwinId
          ? early
          : value,
  )
  await client.sendTraces(renamed)
  client.close()
  await becomes(early, 'kept')
  expect(await why(early)).toMatchObject({
    primary: 'judge-failed',
    evaluations: [{ state: 'applied', label: 'fail' }],
  })
})

test('what was found can be searched, counted and measured', async () => {
  const page = (await ask('/api/v1/search?rule=citation-failed')).body
  expect(page.traces.map((trace: { traceId: string }) => trace.traceId)).toEqual([trace48fId])
  expect(page.tiersSearched).toEqual(['hot'])
  const sampling = (await ask('/api/v1/sampling?since=1h')).body
  expect(sampling).toMatchObject({ kept: 3, dropped: 0, keptRatio: 1 })
  const metrics = await (await fetch(`http://${running.metrics}/metrics`)).text()
  expect(metrics).toMatch(/winnow_spans_received_total\{[^}]*transport="grpc"[^}]*\} 8/)
  expect(metrics).toMatch(/winnow_rescued_total\{cause="evaluation"\} 1/)
  expect(metrics).toMatch(/winnow_decisions_total\{[^}]*rule="citation-failed"[^}]*\} 1/)
  for (const name of metricNames) expect(metrics, name).toContain(`# TYPE ${name} `)
  expect((await fetch(`http://${running.metrics}/readyz`)).status).toBe(200)
})

test('after kill -9 everything that was answered is still there', async () => {
  await running.kill9()
  running = await startWinnow({ data: running.data })
  expect(await why(trace48fId)).toMatchObject({ state: 'kept', primary: 'citation-failed' })
  expect(await why(trace48fTwinId)).toMatchObject({
    state: 'kept',
    stratum: 'rescued',
    revision: 2,
  })
  expect((await expectTrace(trace48fId)).spans).toHaveLength(8)
})

test('SIGTERM ends it with 0', async () => {
  expect(await running.stop()).toBe(0)
})

// biome-ignore lint/suspicious/noExplicitAny: as above.
async function expectTrace(id: string): Promise<any> {
  await expect
    .poll(async () => (await ask(`/api/v1/traces/${id}`)).status, { timeout: 10_000 })
    .toBe(200)
  return (await ask(`/api/v1/traces/${id}`)).body
}

async function otlpText(id: string): Promise<string> {
  return (await fetch(`http://${running.api}/api/v1/traces/${id}?format=otlp`)).text()
}
