import { createHash } from 'node:crypto'
import { MemoryBus, partitionOfHex } from '@winnow/bus'
import { Query, queryConfigSchema } from '@winnow/query'
import { Health, Metrics, silentLog, systemClock } from '@winnow/runtime'
import {
  type BlobStore,
  dateOf,
  type KeyedSnapshotEntry,
  ledgerRow,
  MemoryBlobStore,
  MemoryHotStore,
  type SpanRow,
  writeIndexSnapshot,
  writeSegment,
} from '@winnow/storage'
import { IdIndexer } from '@winnow/writer'
import { ordinaryDecision } from './ordinary-decision.ts'

export const dayMs = 86_400_000
export const yearDays = 365
const partitions = 2
const perDay = 30
const logId = 'log-1'
const topics = { spans: 's', evidence: 'e', decisions: 'd' }

/** The day before today, UTC: a ledger's last whole one. */
const lastDayMs = Math.floor(systemClock.nowMs() / dayMs) * dayMs - dayMs

export interface DatedTrace {
  readonly traceId: string
  readonly date: string
  readonly daysAgo: number
}

/** A trace as it is told apart: kept or dropped, of a day, the first of its segment or a later one. */
export function traceOf(daysAgo: number, n: number): DatedTrace {
  const traceId = createHash('md5').update(`${daysAgo}/${n}`).digest('hex')
  return { traceId, date: dateOf(lastDayMs - daysAgo * dayMs), daysAgo }
}

/** Of each day one in five. */
export const isKept = (n: number): boolean => n % 5 === 0

/**
 * A year of a ledger, day by day and of two partitions, with cold for what was kept and warm for its last month,
 * written by what the writer uses, and its id indexes, as a writer that ran all year makes them.
 */
export async function writeYear(into: BlobStore): Promise<void> {
  // In memory, then copied: a disk's syncs would take minutes, a day's merges being many.
  const blobs = new MemoryBlobStore(systemClock)
  const ended = new AbortController().signal
  const metrics = new Metrics()
  const indexer = new IdIndexer({ blobs, ended, log: silentLog, metrics })
  for (let daysAgo = yearDays - 1; daysAgo >= 0; daysAgo--) {
    const atMs = lastDayMs - daysAgo * dayMs
    const offset = (yearDays - daysAgo) * perDay
    for (let partition = 0; partition < partitions; partition++) {
      await writeDay(blobs, daysAgo, partition, offset)
      indexer.written(partition, logId, atMs)
    }
    await indexer.idle()
  }
  for (let partition = 0; partition < partitions; partition++) {
    indexer.silent(partition, logId, lastDayMs + 2 * dayMs)
  }
  await indexer.idle()
  const keys = await Array.fromAsync(blobs.list(''), ({ key }) => key)
  const copy = async (): Promise<void> => {
    for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
      await into.create(key, (await blobs.read(key)) as Uint8Array)
    }
  }
  await Promise.all(Array.from({ length: copiesAtOnce }, copy))
}

const copiesAtOnce = 16

async function writeDay(
  blobs: BlobStore,
  daysAgo: number,
  partition: number,
  a: number,
): Promise<void> {
  const atMs = lastDayMs - daysAgo * dayMs
  const traces = Array.from({ length: perDay }, (_, n) => ({ n, ...traceOf(daysAgo, n) })).filter(
    ({ traceId }) => partitionOfHex(traceId, partitions) === partition,
  )
  const rows = traces.map(({ n, traceId }, at) => {
    const offset = a + at
    const verdict = isKept(n) ? 'keep' : 'drop'
    const of = { traceId, partition, offset, decidedAtMs: atMs + n, durationMs: 800 + n, verdict }
    return ledgerRow(
      ordinaryDecision(of as Parameters<typeof ordinaryDecision>[0]),
      partition,
      offset,
    )
  })
  const spans = traces
    .filter(({ n }) => isKept(n))
    .flatMap(({ traceId }, at) =>
      Array.from({ length: 8 }, (_, span) => spanRow(traceId, span, partition, a + at)),
    )
  const count = { ledger: rows.length, warm: spans.length, cold: spans.length }
  const range = {
    v: 1,
    partition,
    logId,
    a,
    b: a + perDay - 1,
    rows: count,
    digest: 'd'.repeat(64),
  }
  const metadata = { ...range, after: { claim: 0, next: a + perDay } }
  await writeSegment(blobs, atMs, { ...metadata, tier: 'ledger' }, { tier: 'ledger', rows })
  for (const tier of daysAgo < 30 ? (['cold', 'warm'] as const) : (['cold'] as const)) {
    await writeSegment(blobs, atMs, { ...metadata, tier }, { tier, rows: spans })
  }
}

export function spanRow(traceId: string, span: number, partition: number, offset: number): SpanRow {
  const startNs = 1_795_244_400_000_000_000n + BigInt(span) * 100_000_000n
  return {
    tenant: 'default',
    trace_id: traceId,
    span_id: (span + 1).toString(16).padStart(16, '0'),
    parent_span_id: span === 0 ? null : '0000000000000001',
    service_name: 'refund-bot',
    name: span === 0 ? 'refund_chat.turn' : 'llm.generate',
    kind: span === 0 ? 2 : 3,
    start_time_unix_nano: startNs,
    end_time_unix_nano: startNs + 80_000_000n,
    status_code: 1,
    flags: 0,
    trace_state: null,
    scope_name: 'agent',
    scope_version: '1.4.0',
    gen_ai_operation: span === 0 ? null : 'chat',
    gen_ai_provider: span === 0 ? null : 'anthropic',
    gen_ai_model: span === 0 ? null : 'claude-3-5-sonnet-20241022',
    gen_ai_tool: null,
    input_tokens: span === 0 ? null : 267,
    output_tokens: span === 0 ? null : 28,
    cost_usd: span === 0 ? null : 0.0011,
    experiment_id: null,
    experiment_variant: null,
    attributes: '{"session.id":{"stringValue":"h_0123456789abcdef"}}',
    resource_attributes: '{"service.name":{"stringValue":"refund-bot"}}',
    events: '[]',
    links: '[]',
    sampling_rule: 'ordinary',
    sampling_revision: 1,
    sampling_probability: 0.1,
    sampling_adjusted_count: 10,
    sampling_offset: BigInt(offset),
    sampling_partition: partition,
  }
}

/**
 * Query over what `blobs` holds, with a sampler's index of some thousand traces in it and an empty log: as it is
 * to somebody who asks for a trace that nobody has looked at for long.
 */
export async function startYearQuery(blobs: BlobStore): Promise<Query> {
  const spec = { partitions, retentionMs: 4 * dayMs, keyed: false }
  const bus = new MemoryBus(
    Object.values(topics).map(name => ({ name, ...spec })),
    systemClock,
  )
  for (let partition = 0; partition < partitions; partition++) {
    const head = {
      partition,
      logId: await bus.logId(topics.decisions),
      nextOffset: 1,
      counting: { claim: 0, next: 1 },
      decidedAtMs: systemClock.nowMs(),
      extra: null,
    }
    await writeIndexSnapshot(blobs, head, remembered(3_000))
  }
  const query = new Query({
    bus,
    topics,
    hot: new MemoryHotStore(),
    blobs,
    listen: { host: '127.0.0.1', port: 0 },
    keys: undefined,
    config: queryConfigSchema.parse({}),
    spansRetentionMs: dayMs,
    livesMs: { warm: 30 * dayMs, cold: 365 * dayMs },
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics(),
    health: new Health(),
  })
  await query.start()
  return query
}

function remembered(size: number) {
  const entries = Array.from(
    { length: size },
    (_, n): KeyedSnapshotEntry => ({
      tenant: 'default',
      id: [Math.imul(n, 0x9e3779b1) >>> 0, n, 1, 2],
      offset: n,
      decidedAtMs: systemClock.nowMs(),
      fingerprint: 1n,
      revision: 1,
      verdict: 'drop',
    }),
  )
  return Object.assign(entries, { size })
}

/** What of `trace` is shown of a trace that only cold has. */
export interface StoredTrace {
  readonly tier: string
  readonly content: { readonly level: string; readonly missing: readonly string[] }
  readonly spans: readonly unknown[]
  readonly why: {
    readonly state: string
    readonly searched: { readonly complete: boolean; readonly unreadable: readonly string[] }
  }
}

/** What was asked of a store, as S3 would count it: a list is a request for every thousand keys. */
export class CountedBlobs implements BlobStore {
  readonly #store: BlobStore
  asked: string[] = []
  /** Of what was read. */
  bytes = 0

  constructor(store: BlobStore) {
    this.#store = store
  }

  reset(): void {
    this.asked = []
    this.bytes = 0
  }

  create(key: string, bytes: Uint8Array): Promise<boolean> {
    return this.#store.create(key, bytes)
  }

  rewrite(...call: Parameters<BlobStore['rewrite']>): Promise<boolean> {
    return this.#store.rewrite(...call)
  }

  delete(key: string): Promise<void> {
    return this.#store.delete(key)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  head(...call: Parameters<BlobStore['head']>): ReturnType<BlobStore['head']> {
    this.asked.push(`head ${call[0]}`)
    return this.#store.head(...call)
  }

  async read(key: string, start?: number, length?: number): Promise<Uint8Array | undefined> {
    const bytes = await this.#store.read(key, start, length)
    this.asked.push(`read ${key} ${start} ${length}: ${bytes?.length}`)
    this.bytes += bytes?.length ?? 0
    return bytes
  }

  async *list(prefix: string): ReturnType<BlobStore['list']> {
    let keys = 0
    for await (const info of this.#store.list(prefix)) {
      if (keys++ % 1_000 === 0) this.asked.push(`list ${prefix}`)
      yield info
    }
    if (keys === 0) this.asked.push(`list ${prefix}`)
  }
}
