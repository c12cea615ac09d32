// `why` for one dropped trace among many, counted in reads of the blob store. The ledger, its id indexes
// and the sampler's index snapshot are written by the code that the writer and the sampler use, for one
// partition over three days, whose id index has several files. The number of decisions must not matter:
//
//   DECISIONS=10000000 nice -n 10 vitest run --project e2e test/lookup-scale.test.ts    (six minutes, 3 GB of disk)

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryBus } from '@winnow/bus'
import type { Decision } from '@winnow/model'
import { Query, queryConfigSchema, type Why } from '@winnow/query'
import { Health, Metrics, silentLog, systemClock } from '@winnow/runtime'
import {
  type BlobStore,
  FileBlobStore,
  idIndexRowsMax,
  type KeyedSnapshotEntry,
  ledgerRow,
  listIdIndexes,
  MemoryHotStore,
  type SnapshotEntries,
  writeIndexSnapshot,
  writeSegment,
} from '@winnow/storage'
import { IdIndexer } from '@winnow/writer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ordinaryDecision } from './support/ordinary-decision.ts'

const count = Number(process.env.DECISIONS ?? 120_000)
const days = 3
const perSegment = Math.min(100_000, Math.ceil(count / days / 4))
const perDay = Math.ceil(count / days)
const dayMs = 86_400_000
const minutes = 60_000

/** The most that one `why` may take, of a trace of the last or the last but one indexed day. */
const readsMax = 10

const topics = { spans: 's', evidence: 'e', decisions: 'd' }
const logId = 'log-1'
/** The ledger's last day; log time goes on behind it. */
const lastDayMs = Math.floor(systemClock.nowMs() / dayMs) * dayMs - 4 * dayMs

let folder: string
let query: Query
const reads: string[] = []

/** Real ids differ in their first digits; so do these, for every n below 2^32. */
function wordsOf(n: number, words: Uint32Array): void {
  let mixed = Math.imul(n ^ (n >>> 16), 0x7feb352d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  words[0] = (mixed ^ (mixed >>> 16)) >>> 0
  words[1] = Math.imul(n, 0x9e3779b1) >>> 0
  words[2] = 0x9d2e0a1b
  words[3] = n
}

const shared = new Uint32Array(4)
function traceIdOf(n: number): string {
  wordsOf(n, shared)
  return Array.from(shared, word => word.toString(16).padStart(8, '0')).join('')
}

const dropped = (n: number, decidedAtMs: number): Decision =>
  ordinaryDecision({
    traceId: traceIdOf(n),
    partition: 0,
    offset: n,
    decidedAtMs,
    durationMs: 812 + (n % 97),
    verdict: 'drop',
  })

/** Decision n of day d was made at this time; the offsets go on over the days. */
const decidedAt = (n: number): number => {
  const day = Math.floor(n / perDay)
  return (
    lastDayMs - (days - 1 - day) * dayMs + Math.floor(((n % perDay) / perDay) * (dayMs - minutes))
  )
}

async function writeLedger(blobs: BlobStore): Promise<void> {
  const indexer = new IdIndexer({
    blobs,
    ended: new AbortController().signal,
    log: silentLog,
    metrics: new Metrics(),
    rowsMax: Math.min(idIndexRowsMax, perDay),
  })
  for (let day = 0; day < days; day++) {
    const end = Math.min(count, (day + 1) * perDay)
    for (let a = day * perDay; a < end; a += perSegment) {
      const size = Math.min(perSegment, end - a)
      await writeSegment(blobs, decidedAt(a), metadataOf(a, size), {
        tier: 'ledger',
        rows: Array.from({ length: size }, (_, at) =>
          ledgerRow(dropped(a + at, decidedAt(a + at)), 0, a + at),
        ),
      })
    }
    indexer.written(0, logId, decidedAt(day * perDay))
    await indexer.idle()
  }
  // The first segment of the day after: now the last one is over.
  const after = lastDayMs + dayMs
  const rows = [ledgerRow(dropped(count, after), 0, count)]
  await writeSegment(blobs, after, metadataOf(count, 1), { tier: 'ledger', rows })
  indexer.written(0, logId, after)
  await indexer.idle()
  const [index] = await listIdIndexes(blobs, 0)
  expect(index?.files.length).toBeGreaterThan(2)
}

function metadataOf(a: number, size: number) {
  return {
    v: 1,
    tier: 'ledger',
    partition: 0,
    logId,
    a,
    b: a + size - 1,
    after: { claim: 0, next: a + size + 1 },
    rows: { ledger: size, warm: 0, cold: 0 },
    digest: 'd'.repeat(64),
  } as const
}

/** As many traces as the ledger has, decided since: those that the sampler remembers. */
function remembered(first: number, atMs: number): SnapshotEntries {
  const entry = {
    tenant: 'default',
    id: new Uint32Array(4),
    offset: 0,
    decidedAtMs: atMs,
    fingerprint: 1n,
    revision: 1,
    verdict: 'drop',
  } satisfies KeyedSnapshotEntry
  return {
    size: count + 1,
    *[Symbol.iterator]() {
      // The first of them lies on the bus; the offsets of the others are never asked for.
      for (let n = 0; n <= count; n++) {
        wordsOf(first + n, entry.id)
        entry.offset = n === 0 ? 1 : n + 1_000
        yield entry
      }
    },
  }
}

/** The store, with what was asked of it. */
function counted(store: BlobStore): BlobStore {
  const note = (what: string, key: string): void => {
    reads.push(`${what} ${key}`)
  }
  return {
    create: (key, bytes) => store.create(key, bytes),
    rewrite: (...call) => store.rewrite(...call),
    delete: key => store.delete(key),
    close: () => store.close(),
    read: (key, start, length) => {
      note('read', key)
      return store.read(key, start, length)
    },
    head: key => {
      note('head', key)
      return store.head(key)
    },
    list: prefix => {
      note('list', prefix)
      return store.list(prefix)
    },
  }
}

const recent = 2 ** 31

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lookup-'))
  const blobs = await FileBlobStore.open(folder)
  await writeLedger(blobs)
  const spec = { partitions: 1, retentionMs: 30 * dayMs, keyed: false }
  const bus = new MemoryBus(
    Object.values(topics).map(name => ({ name, ...spec })),
    systemClock,
  )
  const nowMs = systemClock.nowMs()
  const append = (record: object) =>
    bus.append(topics.decisions, 0, [{ value: Buffer.from(JSON.stringify(record)) }])
  await append({ v: 1, kind: 'claim', by: 'test' })
  await append({ ...dropped(recent, nowMs), seq: 1 })
  // One more, so that a fold of one trace has forgotten the other.
  await append({ ...dropped(recent + count + 2, nowMs), seq: 2 })
  const head = {
    partition: 0,
    logId: await bus.logId(topics.decisions),
    nextOffset: 3,
    counting: { claim: 0, next: 3 },
    decidedAtMs: nowMs,
    extra: null,
  }
  await writeIndexSnapshot(blobs, head, remembered(recent, nowMs))
  query = new Query({
    bus,
    topics,
    hot: new MemoryHotStore(),
    blobs: counted(blobs),
    listen: { host: '127.0.0.1', port: 0 },
    keys: undefined,
    config: queryConfigSchema.parse({ foldBytesMax: '1B' }),
    spansRetentionMs: dayMs,
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics(),
    health: new Health(),
  })
  await query.start()
}, 3_600_000)

afterAll(async () => {
  await query?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** The answer, and what was asked of the store for it. */
async function why(
  n: number,
): Promise<{ readonly answer: Why; readonly asked: readonly string[] }> {
  reads.length = 0
  const response = await fetch(`http://${query.address}/api/v1/traces/${traceIdOf(n)}/why`)
  expect(response.status).toBe(200)
  return { answer: (await response.json()) as Why, asked: [...reads] }
}

describe(`why, among ${count.toLocaleString('en')} decisions in the ledger and as many since`, () => {
  test('a dropped trace of the last day is ten reads of the store away at most', async () => {
    const first = (days - 1) * perDay
    for (const n of [first, first + 1, Math.floor((first + count) / 2), count - 1]) {
      const { answer, asked } = await why(n)
      expect(answer).toMatchObject({
        traceId: traceIdOf(n),
        state: 'expired',
        verdict: 'drop',
        decidedAt: new Date(decidedAt(n)).toISOString(),
        searched: { tiers: ['log', 'hot', 'index', 'ledger'], complete: true },
      })
      expect(asked.length, asked.join('\n')).toBeLessThanOrEqual(readsMax)
    }
  })

  test('a day further back is no read more', async () => {
    const [near, far] = [(days - 1) * perDay + 5, 5]
    const cold = await why(far)
    expect(cold.answer.searched.ledgerSince).toBe(
      new Date(decidedAt(far)).toISOString().slice(0, 10),
    )
    expect(cold.asked.length).toBeLessThanOrEqual(readsMax)
    // With what both have held: their footers, of two files of the index as their ids have it.
    await why(near)
    expect((await why(far)).asked.length - (await why(near)).asked.length).toBe(0)
  })

  test('a trace that the sampler remembers is three reads away', async () => {
    const { answer, asked } = await why(recent)
    expect(answer).toMatchObject({ state: 'dropped', searched: { tiers: ['log', 'hot', 'index'] } })
    expect(asked.length).toBeLessThanOrEqual(3)
  })

  test('one that was never seen is unknown after as many', async () => {
    const { answer, asked } = await why(2 ** 30)
    expect(answer).toMatchObject({ state: 'unknown', searched: { complete: true } })
    expect(asked.length, asked.join('\n')).toBeLessThanOrEqual(readsMax)
  })
})
