import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, MemoryBus, type TopicSpec } from '@winnow/bus'
import {
  type Decision,
  type DecisionHead,
  encodeTenantRuns,
  type PackedSlice,
  packSlice,
  type SpanRef,
  spanBlockBytes,
} from '@winnow/model'
import { emptySpan, encodeTraces, type KeyValue, type Span, type TracesData } from '@winnow/otlp'
import { ColdHashers, MemoryColdKeys } from '@winnow/privacy'
import { type Clock, createLog, type Log, ManualClock, Metrics } from '@winnow/runtime'
import {
  type BlobStore,
  type HotStore,
  type LoggedDecision,
  ledgerOutcomes,
  MemoryBlobStore,
  MemoryHotStore,
} from '@winnow/storage'
import { type WriterConfig, writerConfigSchema } from './config.ts'
import { Writer, type WriterOptions } from './writer.ts'

/** 2026-11-21T07:00:00Z, where the manual clock of a fixture begins. */
export const startMs = Date.UTC(2026, 10, 21, 7)

export const spansTopic = 'spans'
export const decisionsTopic = 'decisions'
export const evidenceTopic = 'evidence'
export const controlTopic = 'control'

export const traceIdOf = (n: number): string => (n + 1).toString(16).padStart(32, 'a')
export const spanIdOf = (n: number): string => (n + 1).toString(16).padStart(16, '0')

export const text = (key: string, stringValue: string): KeyValue => ({
  key,
  value: { stringValue },
})

/** One span as an agent's generation has it: structure, a session and prose. */
export function spanOf(traceId: string, n: number, changes: Partial<Span> = {}): Span {
  return {
    ...emptySpan,
    traceId,
    spanId: spanIdOf(n),
    parentSpanId: n === 0 ? '' : spanIdOf(0),
    flags: 0x101,
    name: n === 0 ? 'refund_chat.turn' : 'llm.generate',
    kind: n === 0 ? 2 : 3,
    startTimeUnixNano: BigInt(startMs) * 1_000_000n + BigInt(n) * 1_000n,
    endTimeUnixNano: BigInt(startMs + 1_800) * 1_000_000n,
    attributes: [
      text('gen_ai.system', 'anthropic'),
      text('gen_ai.request.model', 'claude-3-5-sonnet-20241022'),
      { key: 'gen_ai.usage.input_tokens', value: { intValue: 1_870n } },
      text('session.id', 'sess_91ab'),
      text('user.message', 'i want refund for order 4481, it was late by 2 weeks'),
    ],
    status: { message: '', code: 1 },
    ...changes,
  }
}

export function tracesOf(spans: readonly Span[]): TracesData {
  return {
    resourceSpans: [
      {
        resource: {
          attributes: [text('service.name', 'refund-bot')],
          droppedAttributesCount: 0,
        },
        scopeSpans: [
          {
            scope: { name: 'app', version: '1.4.0', attributes: [], droppedAttributesCount: 0 },
            spans,
            schemaUrl: '',
          },
        ],
        schemaUrl: '',
      },
    ],
  }
}

export function decisionOn(traceId: string, changes: Partial<Decision> = {}): Decision {
  const slices = changes.slices ?? []
  const isKeep = (changes.verdict ?? 'keep') === 'keep'
  return {
    v: 1,
    kind: 'decision',
    tenant: 'default',
    traceId,
    revision: 1,
    claim: 0,
    seq: 1,
    verdict: 'keep',
    primary: isKeep ? 'citation-failed' : 'ordinary',
    rules: [
      { name: 'citation-failed', matched: isKeep, probability: 1 },
      { name: 'ordinary', matched: true, probability: 0.1 },
    ],
    probability: isKeep ? 1 : 0.1,
    th: '0',
    adjustedCount: isKeep ? 1 : 0,
    stratum: isKeep ? 'citation-failed' : 'ordinary',
    policyVersion: 'p-4b1d',
    cause: 'completed',
    firstSpanAtMs: startMs,
    closedAtMs: startMs + 5_000,
    decidedAtMs: startMs + 5_010,
    seriesAtMs: startMs,
    closeReason: 'root',
    complete: true,
    missingParents: 0,
    spanCount: slices.reduce((sum, { ref }) => sum + ref.spanCount, 0),
    duplicateSpans: 0,
    rootSpanId: spanIdOf(0),
    service: 'refund-bot',
    operation: 'refund_chat.turn',
    experiment: null,
    variant: null,
    durationMs: 2_608,
    inputTokens: 2_000,
    outputTokens: 202,
    costUsd: 0.0083813,
    sliceCount: slices.length,
    lastSpanAtMs: slices.length === 0 ? null : startMs,
    fingerprint: '0'.repeat(16),
    slices,
    write: isKeep ? slices.map((_, at) => at) : [],
    evaluations: [],
    requests: [],
    prev: null,
    ...changes,
  }
}

/** As the writer has it once it is read. */
export function loggedOn(
  traceId: string,
  changes: Partial<Decision> = {},
): LoggedDecision & { readonly decision: DecisionHead } {
  const { slices, ...decision } = decisionOn(traceId, changes)
  const json = Buffer.from(JSON.stringify({ ...decision, slices }))
  return { decision, slices, outcomes: ledgerOutcomes([], []), json, head: undefined }
}

/** As samplers write a decision: the slices last. */
function jsonOf(record: unknown): string {
  const { slices, ...head } = record as Partial<Decision>
  return JSON.stringify(slices === undefined ? head : { ...head, slices })
}

export function sliceAt(ref: Partial<SpanRef>): PackedSlice {
  const whole = { partition: 0, offset: 0, start: 0, length: 1, spanCount: 1, ...ref }
  const spans = Buffer.alloc(whole.spanCount * spanBlockBytes).toString('base64')
  return packSlice({
    ref: whole,
    appendedAtMs: startMs,
    facts: { startNs: '0', endNs: '0', spans },
  })
}

/** A bus, stores that end with the test, and whatever writes to the bus before a writer. */
export class Fixture {
  readonly clock = new ManualClock()
  readonly bus: MemoryBus
  readonly hot: HotStore
  readonly blobs: BlobStore
  readonly metrics = new Metrics()
  readonly lines: Record<string, unknown>[] = []
  readonly log: Log
  readonly hashers = new ColdHashers(new MemoryColdKeys(bytes => new Uint8Array(bytes).fill(7)))
  readonly #claims = new Map<number, { claim: number; seq: number }>()
  readonly #writers: Writer[] = []

  constructor(
    options: {
      readonly partitions?: number
      readonly retentionMs?: { readonly spans?: number; readonly decisions?: number }
      readonly hot?: HotStore
      readonly blobs?: (clock: Clock) => BlobStore
    } = {},
  ) {
    this.clock.advanceMs(startMs)
    const spec = (name: string, hours: number): TopicSpec => ({
      name,
      partitions: options.partitions ?? 1,
      retentionMs: hours * 3_600_000,
      keyed: false,
    })
    const spans = { ...spec(spansTopic, 24), retentionMs: options.retentionMs?.spans ?? 86_400_000 }
    const decisions = spec(decisionsTopic, 96)
    const decisionsMs = options.retentionMs?.decisions ?? decisions.retentionMs
    const control: TopicSpec = { ...spec(controlTopic, 0), keyed: true }
    this.bus = new MemoryBus(
      [spans, { ...decisions, retentionMs: decisionsMs }, spec(evidenceTopic, 24), control],
      this.clock,
    )
    this.hot = options.hot ?? new MemoryHotStore()
    this.blobs = (options.blobs ?? (clock => new MemoryBlobStore(clock)))(this.clock)
    this.log = createLog(this.clock, line => this.lines.push(JSON.parse(line)))
  }

  /** One record of `spans` that holds these slices side by side, and where each of them lies. */
  async slices(
    parts: readonly (readonly Span[] | Uint8Array)[],
    partition = 0,
  ): Promise<PackedSlice[]> {
    const bytes = parts.map(part =>
      part instanceof Uint8Array ? part : encodeTraces(tracesOf(part)),
    )
    const value = Buffer.concat(bytes)
    const header = encodeTenantRuns([{ tenant: 'default', start: 0, length: value.length }])
    const offset = await this.bus.append(spansTopic, partition, [{ value, header }])
    let start = 0
    return parts.map((part, at) => {
      const length = bytes[at]?.length ?? 0
      start += length
      const spanCount = part instanceof Uint8Array ? 1 : part.length
      return sliceAt({ partition, offset, start: start - length, length, spanCount })
    })
  }

  async claim(partition = 0): Promise<number> {
    const claim = await this.record({ v: 1, kind: 'claim', by: 'test' }, partition)
    this.#claims.set(partition, { claim, seq: 0 })
    return claim
  }

  /** Under the current claim and in sequence, unless `changes` say otherwise. Resolves with the offset. */
  async decide(traceId: string, changes: Partial<Decision> = {}, partition = 0): Promise<number> {
    if (!this.#claims.has(partition)) await this.claim(partition)
    const current = this.#claims.get(partition) as { claim: number; seq: number }
    const isOwn = changes.claim === undefined && changes.seq === undefined
    if (isOwn) current.seq++
    return this.record(decisionOn(traceId, { ...current, ...changes }), partition)
  }

  record(record: unknown, partition = 0): Promise<number> {
    const value = record instanceof Uint8Array ? record : Buffer.from(jsonOf(record))
    return this.bus.append(decisionsTopic, partition, [{ value }])
  }

  /** A kept trace of `spans` spans in one slice. */
  async keep(n: number, spans = 2, partition = 0): Promise<number> {
    const traceId = traceIdOf(n)
    const own = Array.from({ length: spans }, (_, at) => spanOf(traceId, at))
    return this.decide(traceId, { slices: await this.slices([own], partition) }, partition)
  }

  drop(n: number, partition = 0): Promise<number> {
    return this.decide(traceIdOf(n), { verdict: 'drop', slices: [sliceAt({})] }, partition)
  }

  options(config: Partial<WriterConfig> = {}): WriterOptions {
    return {
      bus: quickAtTheEnd(this.bus),
      topics: { spans: spansTopic, decisions: decisionsTopic },
      hot: this.hot,
      blobs: this.blobs,
      hashers: this.hashers,
      config: { ...writerConfigSchema.parse({}), ...config },
      clock: this.clock,
      log: this.log,
      metrics: this.metrics,
    }
  }

  /** A writer that runs, until it or the fixture is stopped. */
  async writer(
    config: Partial<WriterConfig> = {},
    changes: Partial<WriterOptions> = {},
  ): Promise<Writer> {
    const writer = new Writer({ ...this.options(config), ...changes })
    this.#writers.push(writer)
    await writer.start()
    return writer
  }

  async stop(): Promise<void> {
    for (const writer of this.#writers.splice(0)) await writer.stop()
  }

  /** Resolves once a group has committed up to the end of a partition of `decisions`. */
  async committed(group: string, partition = 0): Promise<void> {
    const { end } = await this.bus.bounds(decisionsTopic, partition)
    await until(`${group} has committed ${end}`, async () => {
      const position = await this.bus.committed(decisionsTopic, group, partition)
      return position?.offset === end
    })
  }

  /** Log lines of one kind. */
  said(kind: string): Record<string, unknown>[] {
    return this.lines.filter(line => line.kind === kind)
  }

  async metric(name: string): Promise<Record<string, number>> {
    const metric = await this.metrics.registry.getSingleMetric(name)?.get()
    const values = metric?.values ?? []
    return Object.fromEntries(
      values.map(({ labels, value }) => [Object.values(labels).join(','), value]),
    )
  }
}

/** The same bus, where a lease at the end of the log says so soon: tests wait for that all the time. */
function quickAtTheEnd(bus: MemoryBus): Bus {
  const join: Bus['join'] = (topic, group, fold) =>
    bus.join(topic, group, lease =>
      fold({ ...lease, read: (bytesMax, waitMs) => lease.read(bytesMax, Math.min(waitMs, 5)) }),
    )
  return new Proxy<Bus>(bus, {
    get: (_, name) => {
      if (name === 'join') return join
      const value: unknown = Reflect.get(bus, name)
      return typeof value === 'function' ? value.bind(bus) : value
    },
  })
}

/** Waits for what a writer does by itself. Fails with `what` rather than for ever. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 4_000; turn++) {
    if (await isSo()) return
    await sleep(2)
  }
  throw new Error(`never: ${what}`)
}
