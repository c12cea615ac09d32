import { expect, onTestFinished, test } from 'vitest'
import { hourMs } from '../../packages/storage/src/hot-period.ts'
import { sampleTrace, sampleTraceId } from '../../packages/storage/src/samples.ts'
import { type Fault, FaultProxy } from './fault-proxy.ts'
import { isBulk, openSearchGround } from './opensearch/ground.ts'
import { openSearchForTest } from './opensearch/shared.ts'
import { ask, removeIndices } from './opensearch/store.ts'

const { isThere, url, newPrefix, openStore, documents } = await openSearchGround()

/** With whether the put resolves all the same: the client repeats what no node answered. */
const faults: readonly (readonly [string, Fault, boolean])[] = [
  ['a lost reply', { kind: 'dropReply' }, true],
  ['a torn reply', { kind: 'cutReply', bytes: 10 }, true],
  ['a torn request', { kind: 'cutRequest', bytes: 500 }, true],
  ['no answer', { kind: 'hang' }, true],
  ['503', { kind: 'status', status: 503 }, true],
  ['500', { kind: 'status', status: 500 }, false],
  ['500 after the work is done', { kind: 'after', status: 500 }, false],
]

test.runIf(isThere)(
  'whatever happens to a request, a put that is repeated writes everything once',
  async () => {
    const proxy = await FaultProxy.start(url)
    onTestFinished(() => proxy.close())
    for (const [name, fault, resolves] of faults) {
      proxy.clear()
      const prefix = newPrefix()
      const { store } = await openStore(prefix, { at: proxy.url, requestTimeoutMs: 2_000 })
      // The indices are there, so that what is slow is not their making.
      await store.put([sampleTrace(0)])
      const traces = [sampleTrace(1), sampleTrace(2, 2, 3)]
      proxy.add({ match: isBulk, times: 1, fault })
      if (resolves) await store.put(traces)
      else {
        await expect(store.put(traces), name).rejects.toThrow(/STORE_UNAVAILABLE.*500/)
        await store.put(traces)
      }
      await store.put(traces)
      const counts = { traces: 3, spans: 7, parts: 3, text: 3, rejected: 0 }
      expect(await documents(prefix), name).toEqual(counts)
      for (const trace of traces) {
        const read = await store.get('default', trace.decision.traceId)
        expect(read, name).toEqual({ ...trace, spans: trace.spans.rows() })
      }
    }
  },
)

test.runIf(isThere)(
  'a server that is away for a while is waited for, and what was put stays',
  async () => {
    const proxy = await FaultProxy.start(url)
    onTestFinished(() => proxy.close())
    await proxy.down()
    const said: string[] = []
    const log = {
      info: () => {},
      warn: () => {},
      error: (kind: string, error: unknown) => said.push(`${kind} ${(error as Error).message}`),
    }
    const prefix = newPrefix()
    const { store } = await openStore(prefix, { at: proxy.url, log })
    expect(said[0]).toMatch(/hot_store.unavailable .*http:\/\/127.*does not answer: .*start it/)
    expect(await store.health()).toMatchObject({ ready: false })
    await expect(store.put([sampleTrace(1)])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(store.get('default', sampleTraceId(1))).rejects.toMatchObject({ retryable: true })
    await proxy.up()
    await store.put([sampleTrace(1)])
    await proxy.down()
    await expect(store.search({ tenant: 'default', limit: 1 })).rejects.toThrow(/does not answer/)
    await proxy.up()
    expect((await store.search({ tenant: 'default', limit: 1 })).decisions.length).toBe(1)
  },
)

test.runIf(isThere)(
  'a server that comes back empty has its templates again before anything is written',
  async () => {
    const proxy = await FaultProxy.start(url)
    onTestFinished(() => proxy.close())
    const prefix = newPrefix()
    const { store } = await openStore(prefix, { at: proxy.url })
    await store.put([sampleTrace(1)])
    await proxy.down()
    await expect(store.put([sampleTrace(2)])).rejects.toThrow(/STORE_UNAVAILABLE/)
    await removeIndices(url, [prefix])
    await proxy.up()
    await store.put([sampleTrace(2)])
    const { body } = await ask<Record<string, { mappings: { dynamic?: string } }>>(
      url,
      'GET',
      `/${prefix}-*/_mapping`,
    )
    expect(Object.keys(body).length).toBe(4)
    for (const { mappings } of Object.values(body)) expect(mappings.dynamic).toBe('false')
  },
)

test('kill -9 amid puts loses nothing that was acknowledged, and a repetition doubles nothing', async ({
  skip,
}) => {
  const node = await openSearchForTest(skip, { fresh: true })
  const { store } = await openStore('killed', { at: node.url, requestTimeoutMs: 20_000 })
  const acknowledged = new Set<number>()
  let isOver = false
  const writing = (async () => {
    for (let n = 0; !isOver; n += 20) {
      const traces = Array.from({ length: 20 }, (_, at) => sampleTrace(n + at))
      for (;;) {
        try {
          await store.put(traces)
          break
        } catch (error) {
          expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' })
          await new Promise(resolve => setTimeout(resolve, 100))
        }
      }
      for (let at = 0; at < 20; at++) acknowledged.add(n + at)
    }
  })()
  while (acknowledged.size < 100) await new Promise(resolve => setTimeout(resolve, 20))
  await node.kill9()
  await node.restart()
  isOver = true
  await writing
  const ids = new Set([...acknowledged].map(sampleTraceId))
  const found: string[] = []
  let cursor: string | undefined
  do {
    const page = await store.search({ tenant: 'default', limit: 500, ...(cursor && { cursor }) })
    found.push(...page.decisions.map(({ traceId }) => traceId))
    cursor = page.cursor
  } while (cursor !== undefined)
  expect(found.length).toBe(new Set(found).size)
  expect(new Set(found)).toEqual(ids)
  await ask(node.url, 'POST', '/killed-*/_refresh')
  const { body } = await ask<{ count: number }>(node.url, 'GET', '/killed-spans-*/_count')
  expect(body.count).toBe(2 * ids.size)
  for (const n of [...acknowledged].filter(at => at % 97 === 0)) {
    expect((await store.get('default', sampleTraceId(n)))?.bodies.length).toBe(1)
  }
})

test.runIf(isThere)(
  'a rescue across midnight is one document, and a replay or a second writer changes nothing',
  async () => {
    const prefix = newPrefix()
    const { store } = await openStore(prefix)
    const first = sampleTrace(1, 10, 2)
    const midnight = Date.UTC(2026, 10, 22)
    const rescued = sampleTrace(1, 20, 3, { revision: 2, decidedAtMs: midnight + hourMs })
    await store.put([first])
    await store.put([rescued])
    const counts = { traces: 1, spans: 3, parts: 2, text: 2, rejected: 0 }
    expect(await documents(prefix)).toEqual(counts)
    const before = await store.get('default', sampleTraceId(1))
    expect(before).toMatchObject({ offset: 20, decision: { revision: 2 } })
    const versions = () => ask(url, 'GET', `/${prefix}-*/_search?version=true&size=100`)
    const hits = (await versions()).body as { hits: { hits: object[] } }
    const others = await Promise.all(Array.from({ length: 3 }, () => openStore(prefix)))
    await Promise.all(others.map(other => other.store.put([rescued, first])))
    expect(await documents(prefix)).toEqual(counts)
    expect(await store.get('default', sampleTraceId(1))).toEqual(before)
    const after = (await versions()).body as { hits: { hits: object[] } }
    expect(new Set(after.hits.hits.map(hit => JSON.stringify(hit)))).toEqual(
      new Set(hits.hits.hits.map(hit => JSON.stringify(hit))),
    )
  },
)

test.runIf(isThere)(
  'writers that start at the same moment put templates and indices once',
  async () => {
    const prefix = newPrefix()
    const opened = await Promise.all(Array.from({ length: 4 }, () => openStore(prefix)))
    await Promise.all(
      opened.map(async (one, n) => {
        for (let at = 0; at < 5; at++) await one.store.put([sampleTrace(10 * n + at)])
      }),
    )
    const [{ store } = await openStore(prefix)] = opened
    expect((await store.search({ tenant: 'default', limit: 99 })).decisions.length).toBe(20)
    const { body } = await ask<Record<string, { mappings: { dynamic?: string } }>>(
      url,
      'GET',
      `/${prefix}-*/_mapping`,
    )
    for (const [name, { mappings }] of Object.entries(body)) {
      expect(mappings.dynamic, name).toBe('false')
    }
  },
)

test.runIf(isThere)('a newer release’s template is left as it is', async () => {
  const prefix = newPrefix()
  const path = `/_index_template/${prefix}-traces`
  const newer = { version: 99, index_patterns: [`${prefix}-traces-2*`], priority: 500 }
  expect((await ask(url, 'PUT', path, newer)).status).toBe(200)
  await openStore(prefix)
  const { body } = await ask<{ index_templates: [{ index_template: { version: number } }] }>(
    url,
    'GET',
    path,
  )
  expect(body.index_templates[0].index_template.version).toBe(99)
})

test.runIf(isThere)(
  'another product, and a release without what is needed, are refused by name',
  async () => {
    const proxy = await FaultProxy.start(url)
    onTestFinished(() => proxy.close())
    for (const [version, said] of [
      [{ number: '8.15.0' }, /CONFIG_INVALID.*another product 8.15.0: name an OpenSearch/],
      [
        { number: '2.6.0', distribution: 'opensearch' },
        /opensearch 2.6.0: .* release 2.7 or newer/,
      ],
      [{ number: '1.3.20', distribution: 'opensearch' }, /opensearch 1.3.20/],
      [undefined, /is no OpenSearch/],
    ] as const) {
      proxy.clear()
      proxy.add({ fault: { kind: 'status', status: 200, body: JSON.stringify({ version }) } })
      await expect(openStore(newPrefix(), { at: proxy.url })).rejects.toThrow(said)
    }
  },
)

test.runIf(isThere)(
  'spans can be filtered and summed up by their fields, attributes by any key',
  async () => {
    const prefix = newPrefix()
    const { store } = await openStore(prefix)
    await store.put(Array.from({ length: 10 }, (_, n) => sampleTrace(n, n, 3)))
    await ask(url, 'POST', `/${prefix}-*/_refresh`)
    const { body } = await ask<{
      hits: { total: { value: number } }
      aggregations: {
        models: { buckets: object[] }
        slow: { values: Record<string, number> }
      }
    }>(url, 'POST', `/${prefix}-spans-*/_search`, {
      size: 0,
      query: {
        bool: {
          filter: [
            { term: { 'attributes.session.id': 'sess_91ab' } },
            { term: { 'resource.attributes.deployment.env': 'prod' } },
            { term: { serviceName: 'refund-bot' } },
          ],
        },
      },
      aggs: {
        models: { terms: { field: 'genAi.model' } },
        slow: { percentiles: { field: 'durationInNanos', percents: [50] } },
      },
    })
    expect(body.hits.total.value).toBe(30)
    expect(body.aggregations.models.buckets).toMatchObject([
      { key: 'claude-3-5-sonnet-20241022', doc_count: 20 },
    ])
    expect(body.aggregations.slow.values['50.0']).toBe(2_608_000_000)
  },
)
