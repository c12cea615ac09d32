import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { dayMs } from '../../packages/storage/src/hot-period.ts'
import type { HotTrace } from '../../packages/storage/src/hot-store.ts'
import { busyAttemptsMax } from '../../packages/storage/src/opensearch/bulk-writer.ts'
import { partOps } from '../../packages/storage/src/opensearch/documents.ts'
import {
  sampleSpanRow,
  sampleTimeMs,
  sampleTrace,
  sampleTraceId,
} from '../../packages/storage/src/samples.ts'
import { SpanPack } from '../../packages/storage/src/span-pack.ts'
import { FaultProxy } from './fault-proxy.ts'
import { isBulk, openSearchGround } from './opensearch/ground.ts'
import { openSearchForTest } from './opensearch/shared.ts'
import { ask } from './opensearch/store.ts'

const { isThere, url, newPrefix, openStore, documents } = await openSearchGround()

async function setIndex(index: string, settings: object): Promise<void> {
  expect((await ask(url, 'PUT', `/${index}/_settings`, settings)).status).toBe(200)
}

test.runIf(isThere)(
  'a blocked index holds a put up, by name and with the remedy, and nothing is lost',
  async () => {
    const prefix = newPrefix()
    const { store, counted } = await openStore(prefix)
    await store.put([sampleTrace(1)])
    const spans = `${prefix}-spans-2026-11-21`
    for (const [block, said] of [
      [
        'index.blocks.write',
        /STORE_UNAVAILABLE.*spans-2026-11-21 is read-only.*"index.blocks.write":null/,
      ],
      ['index.blocks.read_only_allow_delete', /STORE_UNAVAILABLE.*flood stage.*room/],
    ] as const) {
      await setIndex(spans, { [block]: true })
      const put = store.put([sampleTrace(2), sampleTrace(3)])
      await expect(put, block).rejects.toThrow(said)
      expect(await store.health()).toMatchObject({
        ready: false,
        detail: expect.stringMatching(said),
      })
      // The trace's own document comes last: what is not whole is not found.
      expect(await store.get('default', sampleTraceId(2))).toBeUndefined()
      await setIndex(spans, { [block]: null })
    }
    await store.put([sampleTrace(2), sampleTrace(3)])
    expect(await store.health()).toEqual({ ready: true })
    expect((await store.get('default', sampleTraceId(3)))?.bodies.length).toBe(1)
    expect(await documents(prefix)).toEqual({ traces: 3, spans: 6, parts: 3, text: 3, rejected: 0 })
    const items = await counted('winnow_hot_store_bulk_items_total')
    expect(items.held).toBe(8)
    expect(items.rejected).toBeUndefined()
  },
)

test.runIf(isThere)('a closed index is no reason to set documents aside', async () => {
  const prefix = newPrefix()
  const { store } = await openStore(prefix)
  await store.put([sampleTrace(1)])
  const text = `${prefix}-text-2026-11-21t07`
  await ask(url, 'POST', `/${text}/_close`)
  await expect(store.put([sampleTrace(2)])).rejects.toThrow(/STORE_UNAVAILABLE.*closed: open it/)
  await expect(store.get('default', sampleTraceId(1))).rejects.toThrow(/STORE_UNAVAILABLE.*open it/)
  await ask(url, 'POST', `/${text}/_open`)
  await store.put([sampleTrace(2)])
  expect((await store.get('default', sampleTraceId(2)))?.bodies.length).toBe(1)
  await ask(url, 'POST', `/${text}/_close`)
  await store.expire(sampleTimeMs + 30 * dayMs)
  expect((await ask(url, 'GET', `/${text}`)).status).toBe(404)
})

test.runIf(isThere)('nothing counts as erased while an index is closed', async () => {
  const prefix = newPrefix()
  const { store } = await openStore(prefix)
  await store.put([sampleTrace(1), sampleTrace(2)])
  const spans = `${prefix}-spans-2026-11-21`
  expect((await ask(url, 'POST', `/${spans}/_close`)).status).toBe(200)
  const erased = store.erase('default', [sampleTraceId(1)])
  await expect(erased).rejects.toThrow(/STORE_UNAVAILABLE.*spans-2026-11-21.*_open/)
})

test.runIf(isThere)(
  'a document that no index takes is set aside with its reason and holds nothing up',
  async () => {
    const prefix = newPrefix()
    // Somebody made the index before, with a mapping of their own.
    const mappings = { properties: { traceState: { type: 'boolean' } } }
    const made = await ask(url, 'PUT', `/${prefix}-spans-2026-11-21`, { mappings })
    expect(made.status).toBe(200)
    const { store, counted } = await openStore(prefix)
    const secret = 'vendor=mrs-smith'
    const traceId = sampleTraceId(1)
    const rows = [
      sampleSpanRow(traceId, 0),
      sampleSpanRow(traceId, 1, { trace_state: secret }),
      sampleSpanRow(traceId, 2),
    ]
    const trace = { ...sampleTrace(1), spans: SpanPack.of(rows) }
    await store.put([trace, sampleTrace(2)])
    expect(await documents(prefix)).toEqual({ traces: 2, spans: 4, parts: 2, text: 2, rejected: 1 })
    // What cannot be searched for can still be read.
    expect((await store.get('default', traceId))?.spans).toEqual(rows)
    const reason = 'mapper_parsing_exception: traceState'
    expect(await counted('winnow_hot_store_rejected_total')).toEqual({ [reason]: 1 })
    const { body } = await ask(url, 'GET', `/${prefix}-rejected-*/_search`)
    expect(JSON.stringify(body)).toContain(reason)
    expect(JSON.stringify(body)).toContain(traceId)
    expect(JSON.stringify(body)).not.toContain('smith')
  },
)

test.runIf(isThere)(
  'a request that is refused whole is sent again, and given back to the writer in the end',
  async () => {
    const proxy = await FaultProxy.start(url)
    onTestFinished(() => proxy.close())
    const prefix = newPrefix()
    const { store, counted } = await openStore(prefix, { at: proxy.url })
    const busy = (times: number): void =>
      proxy.add({
        match: isBulk,
        times,
        fault: {
          kind: 'status',
          status: 429,
          body: '{"error":{"type":"rejected_execution_exception"}}',
        },
      })
    busy(busyAttemptsMax - 1)
    await store.put([sampleTrace(1)])
    expect(await counted('winnow_hot_store_retries_total')).toEqual({
      request: busyAttemptsMax - 1,
    })
    busy(busyAttemptsMax)
    await expect(store.put([sampleTrace(2)])).rejects.toThrow(
      /STORE_UNAVAILABLE.*too much to do.*6 times \(429\)/,
    )
    await store.put([sampleTrace(2)])
    expect(await documents(prefix)).toEqual({ traces: 2, spans: 4, parts: 2, text: 2, rejected: 0 })
  },
)

test.runIf(isThere)(
  'documents that are refused alone are sent again, and those beside them are not',
  async () => {
    const proxy = await FaultProxy.start(url)
    onTestFinished(() => proxy.close())
    const prefix = newPrefix()
    const { store, counted } = await openStore(prefix, { at: proxy.url })
    // A body, two spans and the part: the server writes them, and is said to have had no room for two.
    const items = [201, 429, 201, 429].map(status => ({
      index: { status, ...(status === 429 && { error: { type: 'rejected_execution_exception' } }) },
    }))
    proxy.add({
      match: isBulk,
      times: 1,
      fault: { kind: 'after', status: 200, body: JSON.stringify({ items }) },
    })
    await store.put([sampleTrace(1)])
    expect(await counted('winnow_hot_store_bulk_items_total')).toEqual({
      written: 3,
      busy: 2,
      known: 2,
    })
    expect(await counted('winnow_hot_store_retries_total')).toEqual({ items: 1 })
  },
)

test.runIf(isThere)(
  'a request has at most so many characters, and of one more there are two',
  async () => {
    const proxy = await FaultProxy.start(url)
    onTestFinished(() => proxy.close())
    const prefix = newPrefix()
    const trace = sampleTrace(1)
    const length = [...partOps(prefix, trace)].reduce((sum, { lines }) => sum + lines.length, 0)
    for (const [bulkBytesMax, requests] of [
      [length, 2],
      [length - 1, 3],
    ] as const) {
      const { store } = await openStore(prefix, { at: proxy.url, bulkBytesMax })
      proxy.seen.length = 0
      await store.put([trace])
      // One more for the trace's own document.
      expect(proxy.seen.filter(isBulk).length).toBe(requests)
    }
  },
)

test.runIf(isThere)(
  'at most so many puts are sent at once, and the others wait for their turn',
  async () => {
    const proxy = await FaultProxy.start(url)
    onTestFinished(() => proxy.close())
    const { store } = await openStore(newPrefix(), { at: proxy.url, putsInFlightMax: 2 })
    await store.put([sampleTrace(0)])
    proxy.seen.length = 0
    proxy.add({ match: isBulk, fault: { kind: 'hang' } })
    const puts = [1, 2, 3, 4, 5].map(n => store.put([sampleTrace(n)]))
    const asked = (): number => proxy.seen.filter(isBulk).length
    while (asked() < 2) await new Promise(resolve => setTimeout(resolve, 10))
    await new Promise(resolve => setTimeout(resolve, 300))
    expect(asked()).toBe(2)
    proxy.clear()
    await proxy.down()
    await proxy.up()
    const settled = await Promise.allSettled(puts)
    for (const [at, { status }] of settled.entries()) {
      if (status === 'rejected') await store.put([sampleTrace(at + 1)])
    }
    expect((await store.search({ tenant: 'default', limit: 9 })).decisions.length).toBe(6)
  },
)

test('a node under pressure refuses whole requests, and takes smaller ones', async ({ skip }) => {
  const node = await openSearchForTest(skip, {
    fresh: true,
    settings: { 'indexing_pressure.memory.limit': '200kb' },
  })
  const traces = Array.from({ length: 40 }, (_, n): HotTrace => {
    const bytes = new Uint8Array(randomBytes(20_000))
    return { ...sampleTrace(n), bodies: [{ ref: `3:${n}:0`, bytes }] }
  })
  const large = await openStore('pressure', { at: node.url })
  await expect(large.store.put(traces)).rejects.toThrow(/STORE_UNAVAILABLE.*429/)
  const small = await openStore('pressure', { at: node.url, bulkBytesMax: 100_000 })
  await small.store.put(traces)
  for (let n = 0; n < traces.length; n++) {
    expect((await small.store.get('default', sampleTraceId(n)))?.bodies).toEqual(traces[n]?.bodies)
  }
})

test('a request that is too large is halved, and a document that is too large is set aside', async ({
  skip,
}) => {
  const node = await openSearchForTest(skip, {
    fresh: true,
    settings: { 'http.max_content_length': '1mb' },
  })
  const { store, counted } = await openStore('halves', { at: node.url })
  const body = (n: number, size: number): HotTrace => ({
    ...sampleTrace(n),
    bodies: [{ ref: `3:${n}:0`, bytes: randomBytes(size) }],
  })
  await store.put([...Array.from({ length: 10 }, (_, n) => body(n, 300_000)), body(10, 900_000)])
  expect((await store.get('default', sampleTraceId(9)))?.bodies[0]?.bytes.length).toBe(300_000)
  expect(await store.get('default', sampleTraceId(10))).toMatchObject({ bodies: [], offset: 10 })
  expect(await counted('winnow_hot_store_rejected_total')).toEqual({ 'http.max_content_length': 1 })
})
