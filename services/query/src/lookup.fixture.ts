import { MemoryBus } from '@winnow/bus'
import type { Decision } from '@winnow/model'
import { type Clock, ManualClock, silentLog } from '@winnow/runtime'
import {
  type BlobStore,
  dateOf,
  IdIndexBuilder,
  idIndexKey,
  ledgerRow,
  listIdIndexes,
  MemoryBlobStore,
  MemoryHotStore,
  openIdIndex,
  readAllLedger,
  writeIndexSnapshot,
  writeSegment,
} from '@winnow/storage'
import { DecisionFold } from './decision-fold.ts'
import { DecisionLookup, type LookupOptions } from './decision-lookup.ts'

export const topic = 'd'
export const dayMs = 86_400_000
/** 2026-11-21T12:00:00Z. */
export const todayMs = Date.UTC(2026, 10, 21, 12)

export const traceIdOf = (n: number): string =>
  ((BigInt(n + 1) * 0x9e3779b97f4a7c15f39cc0605cedc835n) % 2n ** 128n)
    .toString(16)
    .padStart(32, '0')

export function decisionOn(n: number, changes: Partial<Decision> = {}): Decision {
  return {
    v: 1,
    kind: 'decision',
    tenant: 'default',
    traceId: traceIdOf(n),
    revision: 1,
    claim: 0,
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
    firstSpanAtMs: todayMs,
    closedAtMs: todayMs,
    decidedAtMs: todayMs,
    seriesAtMs: todayMs,
    closeReason: 'root',
    complete: true,
    missingParents: 0,
    spanCount: 8,
    duplicateSpans: 0,
    rootSpanId: null,
    service: 'refund-bot',
    operation: 'refund_chat.turn',
    experiment: null,
    variant: null,
    durationMs: 2_608,
    inputTokens: 0,
    outputTokens: 0,
    costUsd: 0,
    sliceCount: 1,
    lastSpanAtMs: todayMs,
    fingerprint: '0'.repeat(16),
    slices: [],
    write: [],
    evaluations: [],
    requests: [],
    prev: null,
    ...changes,
  }
}

/** What a look-up stands on: one partition, whose reads of the blob store are counted. */
export class LookupFixture {
  readonly clock = new ManualClock()
  readonly bus: MemoryBus
  readonly hot = new MemoryHotStore()
  readonly blobs: BlobStore
  readonly reads: string[] = []
  readonly #folds: DecisionFold[] = []
  #seq = 0

  constructor(makeStore: (clock: Clock) => BlobStore = clock => new MemoryBlobStore(clock)) {
    this.clock.advanceMs(todayMs)
    const spec = { name: topic, partitions: 1, retentionMs: 365 * dayMs, keyed: false }
    this.bus = new MemoryBus([spec], this.clock)
    const store = makeStore(this.clock)
    const note = (what: string, key: string): void => {
      this.reads.push(`${what} ${key}`)
    }
    this.blobs = {
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

  /** A decision on the bus, under the first claim. Resolves with its offset. */
  async decide(n: number, changes: Partial<Decision> = {}): Promise<number> {
    const append = (record: object) =>
      this.bus.append(topic, 0, [{ value: Buffer.from(JSON.stringify(record)) }])
    if (this.#seq === 0) await append({ v: 1, kind: 'claim', by: 'test' })
    this.#seq++
    return append(decisionOn(n, { seq: this.#seq, ...changes }))
  }

  /** The sampler's index snapshot: trace, offset of its decision, and when it was taken. */
  async snapshot(
    entries: readonly (readonly [n: number, offset: number, decidedAtMs?: number])[],
    nextOffset = 1_000,
  ): Promise<void> {
    const keyed = entries.map(([n, offset, decidedAtMs = todayMs]) => ({
      tenant: 'default',
      id: [0, 8, 16, 24].map(at => Number.parseInt(traceIdOf(n).slice(at, at + 8), 16)),
      offset,
      decidedAtMs,
      fingerprint: 0n,
      revision: 1,
      verdict: 'drop' as const,
    }))
    const head = {
      partition: 0,
      logId: await this.bus.logId(topic),
      nextOffset,
      counting: { claim: 0, next: 1 },
      decidedAtMs: todayMs,
      extra: null,
    }
    await writeIndexSnapshot(this.blobs, head, Object.assign(keyed, { size: keyed.length }))
  }

  /** A day's ledger in one segment from `offset` on, and its id index. */
  async day(
    daysAgo: number,
    decisions: readonly Decision[],
    offset = 0,
    logId = 'log-1',
  ): Promise<{ readonly segment: string; readonly index: string }> {
    const atMs = todayMs - daysAgo * dayMs
    const rows = decisions.map((decision, at) => ledgerRow(decision, 0, offset + at))
    const b = offset + Math.max(0, rows.length - 1)
    const metadata = {
      v: 1,
      tier: 'ledger',
      partition: 0,
      logId,
      a: offset,
      b,
      after: { claim: 0, next: 1 },
      rows: { ledger: rows.length, warm: 0, cold: 0 },
      digest: 'd',
    } as const
    const { key, bytes } = await writeSegment(this.blobs, atMs, metadata, { tier: 'ledger', rows })
    const builder = new IdIndexBuilder()
    builder.beginSegment({ date: dateOf(atMs), offset, bytes })
    const ids = await readAllLedger(this.blobs, key, ['tenant', 'trace_id'])
    for (const [row, { tenant, trace_id }] of ids.entries()) builder.add(tenant, trace_id, row)
    const index = await builder.write(this.blobs, { partition: 0, logId })
    return { segment: key, index: index.key }
  }

  /** All id indexes as one, in whose place it is. */
  async merge(): Promise<string> {
    const builder = new IdIndexBuilder()
    const parts = await listIdIndexes(this.blobs, 0)
    for (const part of parts) {
      const file = await openIdIndex(this.blobs, idIndexKey(part))
      if (file !== undefined) await builder.addIndex(this.blobs, part, [file], '1970-01-01')
    }
    const { key } = await builder.write(this.blobs, { partition: 0, logId: parts[0]?.logId ?? '' })
    for (const part of parts) await this.blobs.delete(idIndexKey(part))
    return key
  }

  /** A look-up behind a fold that remembers what of the bus fits into `bytesMax`: one trace at least. */
  async lookup(changes: Partial<LookupOptions> = {}, bytesMax = 1): Promise<DecisionLookup> {
    const { bus, clock, hot, blobs } = this
    const fold = new DecisionFold({ bus, topic, bytesMax, clock, log: silentLog })
    this.#folds.push(fold)
    await fold.start()
    this.reads.length = 0
    const nowMs = (): number => clock.nowMs()
    const options = { bus, topic, fold, hot, blobs, daysMax: 31, nowMs, log: silentLog }
    return new DecisionLookup({ ...options, ...changes })
  }

  async stop(): Promise<void> {
    await Promise.all(this.#folds.map(fold => fold.stop()))
  }
}
