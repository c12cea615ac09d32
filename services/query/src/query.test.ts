import { type BusRecord, MemoryBus, partitionOfHex } from '@winnow/bus'
import { type Decision, packSlice, spanBlockBytes } from '@winnow/model'
import { type ApiKeys, Health, Metrics, silentLog, systemClock } from '@winnow/runtime'
import { MemoryHotStore } from '@winnow/storage'
import { apiKeysOf } from '@winnow/testing'
import { expect, onTestFinished, test } from 'vitest'
import { queryConfigSchema } from './config.ts'
import { Query } from './query.ts'

const topics = { spans: 's', decisions: 'd', evidence: 'e' }
const partitions = 4
const kept = '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f'
const dropped = '7e1c5a90d3b84f6ea12e0a1b3c4d5e6f'
const dayMs = 86_400_000

async function started(
  options: {
    readonly keys?: ApiKeys
    readonly redact?: (tenant: string, body: unknown) => Promise<unknown>
  } = {},
) {
  const specs = Object.values(topics).map(name => ({
    name,
    partitions,
    retentionMs: dayMs,
    keyed: false,
  }))
  const bus = new MemoryBus(specs, systemClock)
  const hot = new MemoryHotStore()
  const query = new Query({
    bus,
    topics,
    hot,
    listen: { host: '127.0.0.1', port: 0 },
    keys: options.keys,
    ...(options.redact !== undefined && { redact: options.redact }),
    config: queryConfigSchema.parse({}),
    spansRetentionMs: dayMs,
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics(),
    health: new Health(),
  })
  await query.start()
  onTestFinished(() => query.stop())
  const call = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://${query.address}${path}`, init)
    // biome-ignore lint/suspicious/noExplicitAny: the body is what the assertions are about.
    const body = (await response.json()) as any
    return { status: response.status, headers: response.headers, body }
  }
  return { bus, hot, call }
}

/** Appends a claim and one decision to the partition of the trace, as a sampler does. */
async function decide(bus: MemoryBus, over: Partial<Decision> & { traceId: string }) {
  const partition = partitionOfHex(over.traceId, partitions)
  const value = (record: object) => [{ value: Buffer.from(JSON.stringify(record)) }]
  const claim = await bus.append(
    topics.decisions,
    partition,
    value({ v: 1, kind: 'claim', by: 't' }),
  )
  const nowMs = systemClock.nowMs()
  const decision = {
    v: 1,
    kind: 'decision',
    tenant: 'default',
    revision: 1,
    claim,
    seq: 1,
    verdict: 'drop',
    primary: 'ordinary',
    rules: [{ name: 'ordinary', matched: false, probability: 0.1 }],
    probability: 0.1,
    th: 'e6666666666666',
    adjustedCount: 0,
    stratum: 'ordinary',
    policyVersion: 'test',
    cause: 'completed',
    firstSpanAtMs: nowMs,
    closedAtMs: nowMs,
    decidedAtMs: nowMs,
    seriesAtMs: nowMs,
    closeReason: 'root',
    complete: true,
    missingParents: 0,
    spanCount: 8,
    service: 'refund-bot',
    operation: 'refund_chat.turn',
    durationMs: 2608,
    sliceCount: Array.isArray(over.slices) ? over.slices.length : 1,
    lastSpanAtMs: nowMs,
    fingerprint: '0'.repeat(16),
    slices: [
      packSlice({
        ref: { partition, offset: 0, start: 0, length: 1, spanCount: 1 },
        appendedAtMs: nowMs,
        facts: { startNs: '0', endNs: '0', spans: Buffer.alloc(spanBlockBytes).toString('base64') },
      }),
    ],
    write: [],
    evaluations: [],
    requests: [],
    prev: null,
    ...over,
  }
  await bus.append(topics.decisions, partition, value(decision))
}

async function evidence(bus: MemoryBus, traceId: string): Promise<unknown[]> {
  const batch = await bus.read(topics.evidence, partitionOfHex(traceId, partitions), 0, 1 << 20, 0)
  return batch.records.map((record: BusRecord) => JSON.parse(Buffer.from(record.value).toString()))
}

const until = async <T>(probe: () => Promise<T>, holds: (value: T) => boolean): Promise<T> =>
  await expect
    .poll(
      async () => {
        const value = await probe()
        return holds(value) ? value : undefined
      },
      { timeout: 5000 },
    )
    .not.toBeUndefined()
    .then(probe)

const post = (body: unknown): RequestInit => ({ method: 'POST', body: JSON.stringify(body) })

test('why tells kept, dropped and unknown apart', async () => {
  const { bus, call } = await started()
  await decide(bus, { traceId: dropped })
  await decide(bus, { traceId: kept, verdict: 'keep', primary: 'citation-failed' })
  const why = (id: string) => call(`/api/v1/traces/${id}/why`)
  await until(
    () => why(dropped),
    ({ body }) => body.state === 'dropped',
  )
  await until(
    () => why(kept),
    ({ body }) => body.primary === 'citation-failed',
  )
  const searched = { tiers: ['log', 'hot'], ledgerSince: null, complete: false, unreadable: [] }
  expect(await why('b'.repeat(32))).toMatchObject({
    status: 200,
    body: { state: 'unknown', searched },
  })
  expect((await why(kept)).body.searched).toMatchObject({ tiers: ['log'], complete: true })
  expect(await why(dropped.toUpperCase())).toMatchObject({ body: { traceId: dropped } })
})

test('a record of an older claim changes no answer', async () => {
  const { bus, call } = await started()
  await decide(bus, { traceId: dropped })
  await decide(bus, { traceId: dropped, verdict: 'keep', claim: 0, seq: 1, revision: 2 })
  await decide(bus, { traceId: dropped, revision: 3 })
  await until(
    () => call(`/api/v1/traces/${dropped}/why`),
    ({ body }) => body.revision === 3,
  )
  await decide(bus, { traceId: dropped, verdict: 'keep', claim: 0, seq: 1, revision: 9 })
  await decide(bus, { traceId: kept, partition: 0 } as never)
  expect((await call(`/api/v1/traces/${dropped}/why`)).body.revision).toBe(3)
})

test('a dropped trace answers 404 with why and how to rescue it', async () => {
  const { bus, call } = await started()
  await decide(bus, { traceId: dropped })
  const found = await until(
    () => call(`/api/v1/traces/${dropped}`),
    ({ body }) => body.why.state === 'dropped',
  )
  expect(found.status).toBe(404)
  expect(found.body).toMatchObject({ tiersSearched: ['hot'], error: { code: 'TRACE_NOT_STORED' } })
  expect(found.body.error.remedy).toContain('rescue')
})

test('a rescue is one request in evidence, however often it is sent', async () => {
  const { bus, call } = await started()
  await decide(bus, { traceId: dropped })
  const path = `/api/v1/traces/${dropped}/rescue`
  await until(
    () => call(`/api/v1/traces/${dropped}/why`),
    ({ body }) => body.state === 'dropped',
  )
  expect((await call(path, post({ reason: 'escalation' }))).status).toBe(202)
  expect((await call(path, post({ reason: 'escalation' }))).status).toBe(202)
  const records = (await evidence(bus, dropped)) as { kind: string; id: string }[]
  expect(records).toHaveLength(2)
  expect(new Set(records.map(record => record.id)).size).toBe(1)
  expect(records[0]).toMatchObject({ kind: 'request', tenant: 'default', reason: 'escalation' })
})

test('a rescue says what it will yield: of bytes older than a text’s life all but the text', async () => {
  const { bus, call } = await started()
  const nowMs = systemClock.nowMs()
  const old = `${dropped.slice(0, -1)}0`
  // Its last span came just now, so that its bytes can still be read.
  await decide(bus, { traceId: old, firstSpanAtMs: nowMs - dayMs, lastSpanAtMs: nowMs })
  await decide(bus, { traceId: dropped, firstSpanAtMs: nowMs - dayMs / 2 })
  for (const [traceId, content] of [
    [old, 'structured'],
    [dropped, 'full'],
  ] as const) {
    await until(
      () => call(`/api/v1/traces/${traceId}/why`),
      ({ body }) => body.state === 'dropped',
    )
    const told = await call(`/api/v1/traces/${traceId}/rescue`, post({ reason: 'escalation' }))
    expect(told).toMatchObject({ status: 202, body: { state: 'accepted', content } })
  }
})

test('a rescue without a reason, of an unknown trace or of bytes that are gone is refused', async () => {
  const { bus, call } = await started()
  const rescue = (id: string, body: unknown) => call(`/api/v1/traces/${id}/rescue`, post(body))
  expect((await rescue(dropped, {})).body.error).toMatchObject({ field: 'reason' })
  expect((await rescue(dropped, { reason: 'x'.repeat(513) })).status).toBe(422)
  expect((await rescue(dropped, { reason: 'x'.repeat(512) })).status).toBe(404)
  await decide(bus, { traceId: kept, verdict: 'keep', gone: true })
  await until(
    () => call(`/api/v1/traces/${kept}/why`),
    ({ body }) => body.state === 'expired',
  )
  expect(await rescue(kept, { reason: 'x' })).toMatchObject({ status: 409 })
})

test('evaluations are accepted into evidence, and one without a trace id is 422 with the remedy', async () => {
  const { bus, call } = await started()
  const one = { traceId: dropped, name: 'csat', score: 2, id: 'c1' }
  expect(await call('/api/v1/evaluations', post(one))).toMatchObject({
    status: 202,
    body: { evaluations: [{ id: `${dropped}.c1`, state: 'accepted' }] },
  })
  expect(await evidence(bus, dropped)).toMatchObject([
    { kind: 'evaluation', name: 'csat', score: 2 },
  ])
  const refused = await call('/api/v1/evaluations', post({ name: 'csat', score: 2 }))
  expect(refused.status).toBe(422)
  expect(refused.body.error).toMatchObject({ field: 'traceId' })
})

test('an evaluation is found by the id that its client knows, although another stands for it', async () => {
  const redact = async (tenant: string, body: unknown) => {
    expect(tenant).toBe('default')
    return JSON.parse(JSON.stringify(body).replaceAll('a@b.co', '<email:e_0123456789ab>'))
  }
  const { bus, call } = await started({ redact })
  const id = `${kept}.<email:e_0123456789ab>`
  await decide(bus, {
    traceId: kept,
    verdict: 'keep',
    evaluations: [{ id, name: 'csat', score: 2, effect: 'rescued' }],
  })
  const path = `/api/v1/evaluations/${kept}.${encodeURIComponent('a@b.co')}`
  const found = await until(
    () => call(path),
    ({ status }) => status === 200,
  )
  expect(found.body).toMatchObject({ id, name: 'csat' })
})

test('an evaluation answers with what it did', async () => {
  const { bus, call } = await started()
  const id = `${kept}.c1`
  expect((await call(`/api/v1/evaluations/${id}`)).status).toBe(404)
  await decide(bus, {
    traceId: kept,
    verdict: 'keep',
    evaluations: [{ id, name: 'csat', score: 2, effect: 'rescued' }],
  })
  const found = await until(
    () => call(`/api/v1/evaluations/${id}`),
    ({ status }) => status === 200,
  )
  expect(found.body).toMatchObject({ id, traceId: kept, name: 'csat', state: 'rescued' })
  const upper = await call(`/api/v1/evaluations/${kept.toUpperCase()}.c1`)
  expect(upper.body).toEqual(found.body)
  expect((await call(`/api/v1/evaluations/${kept}.C1`)).status).toBe(404)
  expect((await call('/api/v1/evaluations/c1')).status).toBe(400)
})

test('no key sees another tenant’s trace, and no key sees nothing', async () => {
  const keys = apiKeysOf({ a: 'team-a', b: 'team-b' })
  const { bus, call } = await started({ keys })
  await decide(bus, { traceId: dropped, tenant: 'team-a' })
  const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })
  const paths = [
    `/api/v1/traces/${dropped}/why`,
    `/api/v1/traces/${dropped}`,
    '/api/v1/sampling',
    '/api/v1/search?state=dropped',
    `/api/v1/evaluations/${dropped}.x`,
  ]
  await until(
    () => call(paths[0] ?? '', as('a')),
    ({ body }) => body.state === 'dropped',
  )
  expect((await call(paths[0] ?? '', as('b'))).body.state).toBe('unknown')
  expect((await call('/api/v1/search?state=dropped', as('a'))).body.traces).toHaveLength(1)
  expect((await call('/api/v1/search?state=dropped', as('b'))).body.traces).toHaveLength(0)
  expect((await call('/api/v1/sampling', as('b'))).body.dropped).toBe(0)
  for (const path of paths) expect((await call(path)).status, path).toBe(401)
  expect((await call(`/api/v1/traces/${dropped}/rescue`, post({ reason: 'x' }))).status).toBe(401)
  expect(
    (await call('/api/v1/evaluations', post({ traceId: dropped, name: 'csat', score: 1 }))).status,
  ).toBe(401)
})

test('search lists dropped traces newest first, page by page', async () => {
  const { bus, call } = await started()
  const ids = ['1', '2', '3'].map(digit => digit.repeat(32))
  for (const [i, traceId] of ids.entries()) {
    await decide(bus, { traceId, decidedAtMs: 1_000_000 + i, service: i === 0 ? 'other' : 'bot' })
  }
  const list = (query: string) => call(`/api/v1/search?state=dropped${query}`)
  await until(
    () => list(''),
    ({ body }) => body.traces.length === 3,
  )
  const first = (await list('&limit=2')).body
  expect(first.traces.map((trace: { traceId: string }) => trace.traceId)).toEqual([ids[2], ids[1]])
  const second = (await list(`&limit=2&cursor=${first.cursor}`)).body
  expect(second.traces.map((trace: { traceId: string }) => trace.traceId)).toEqual([ids[0]])
  expect(second.cursor).toBeUndefined()
  expect((await list('&service=other')).body.traces).toHaveLength(1)
})

test('pages list each of many traces once, whatever order they were decided in', async () => {
  const { bus, call } = await started()
  const count = 60
  for (let i = 0; i < count; i++) {
    const decidedAtMs = 1_000_000 + ((i * 37) % count)
    await decide(bus, { traceId: (i + 1).toString(16).padStart(32, '0'), decidedAtMs })
  }
  const list = (query: string) => call(`/api/v1/search?state=dropped&limit=3${query}`)
  await until(
    () => call('/api/v1/sampling'),
    ({ body }) => body.dropped === count,
  )
  const times: string[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const { body } = await list(cursor === '' ? '' : `&cursor=${cursor}`)
    times.push(...body.traces.map((trace: { decidedAt: string }) => trace.decidedAt))
    cursor = body.cursor
  }
  expect(times).toEqual(
    Array.from({ length: count }, (_, i) => new Date(1_000_000 + count - 1 - i).toISOString()),
  )
})

test('an idle connection stays open until the client closes it', async () => {
  const { call } = await started()
  const { headers } = await call('/api/v1/sampling')
  expect(headers.get('keep-alive')).toBe('timeout=75')
})

test('a wrong parameter is named with its value and the remedy', async () => {
  const { call } = await started()
  const cases = {
    '/api/v1/search?limit=0': 'limit',
    '/api/v1/search?limit=1001': 'limit',
    '/api/v1/search?since=yesterday': 'since',
    '/api/v1/search?since=2026-02-01&until=2026-01-01': 'until',
    '/api/v1/search?since=1h&until=2h': 'until',
    '/api/v1/search?state=lost': 'state',
    '/api/v1/search?tier=tepid': 'tier',
    '/api/v1/search?tier=cold': 'since',
    '/api/v1/search?tier=cold&since=2d&until=1h': 'until',
    '/api/v1/search?tier=warm&since=1h&state=dropped': 'state',
    '/api/v1/search?estimate=true&tier=cold': 'tier',
    '/api/v1/search?colour=red': 'colour',
    '/api/v1/search?state=dropped&cursor=x': 'cursor',
    '/api/v1/search?cursor=x': 'cursor',
    '/api/v1/search?cursor=': 'cursor',
    '/api/v1/search?limit=1.5': 'limit',
    '/api/v1/search?since=9999999999d': 'since',
    '/api/v1/sampling?since=9999999999d': 'since',
    '/api/v1/sampling?sinse=1h': 'sinse',
    '/api/v1/search?estimate=yes': 'estimate',
    '/api/v1/search?estimate=true&limit=9': 'limit',
    '/api/v1/search?estimate=true&cursor=1000.00000000000000000000000000000001': 'cursor',
    '/api/v1/search?estimate=true&state=dropped': 'state',
    '/api/v1/search?estimate=true&colour=red': 'colour',
    [`/api/v1/traces/${kept}?format=xml`]: 'format',
    [`/api/v1/traces/${kept}?fromat=otlp`]: 'fromat',
    '/api/v1/traces/xyz/why': 'id',
    [`/api/v1/traces/${kept}/why?before=yesterday`]: 'before',
    [`/api/v1/traces/${kept}/why?before=2026-02-30`]: 'before',
    [`/api/v1/traces/${kept}/why?after=2026-02-28`]: 'after',
  }
  for (const [path, field] of Object.entries(cases)) {
    const { status, body } = await call(path)
    expect(status, path).toBe(400)
    expect(body.error, path).toMatchObject({ field, remedy: expect.stringMatching(/./) })
  }
  expect((await call('/api/v1/nothing')).status).toBe(404)
  expect((await call('//')).status).toBe(404)
  expect((await call('//api/v1/search')).status).toBe(404)
  expect((await call('/api/v1/search', { method: 'POST', body: '{}' })).status).toBe(405)
  expect((await call('/api/v1/evaluations', { method: 'POST', body: '{' })).body.error.code).toBe(
    'INVALID_JSON',
  )
})

test('sampling counts primary and any rule, and leaves what awaits its spans out of the ratio', async () => {
  const { bus, call } = await started()
  const rules = (...names: string[]) => names.map(name => ({ name, matched: true, probability: 1 }))
  await decide(bus, {
    traceId: kept,
    verdict: 'keep',
    primary: 'low-csat',
    rules: rules('low-csat', 'slow'),
  })
  await decide(bus, { traceId: dropped })
  await decide(bus, { traceId: 'c'.repeat(32), slices: [] })
  const { body } = await until(
    () => call('/api/v1/sampling'),
    report => report.body.kept + report.body.dropped + report.body.awaiting === 3,
  )
  expect(body).toMatchObject({ kept: 1, dropped: 1, awaiting: 1, keptRatio: 0.5, forgotten: 0 })
  expect(body.rules).toEqual([
    { name: 'low-csat', primary: 1, any: 1, keptRatio: 0.5 },
    { name: 'slow', primary: 0, any: 1, keptRatio: 0 },
  ])
})
