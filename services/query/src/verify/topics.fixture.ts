import { deepStrictEqual } from 'node:assert/strict'
import { MemoryBus } from '@winnow/bus'
import {
  blockAt,
  type Decision,
  encodeTenantRuns,
  type PackedSlice,
  packSlice,
  spanBlockBytes,
  type TenantRun,
} from '@winnow/model'
import { emptySpan, encodeTraces } from '@winnow/otlp'
import { ManualClock } from '@winnow/runtime'
import { type LedgerReport, ReportBuilder } from './ledger-report.ts'
import { PartitionVerifier } from './partition-verifier.ts'
import { TenantSums } from './tenant-sums.ts'
import { stageGroups, verifyTopics } from './verify-topics.ts'

export const topics = { spans: 's', evidence: 'e', decisions: 'd' }
export const dayMs = 86_400_000

/** Spans of one trace that arrive together. */
export interface Sent {
  readonly tenant?: string
  readonly trace: number
  readonly spans: readonly number[]
}

/** A slice as it lies on `spans`, with whose it is. */
export interface Lying {
  readonly tenant: string
  readonly traceId: string
  readonly slice: PackedSlice
}

export const traceIdOf = (trace: number): string => trace.toString(16).padStart(32, '0')
const spanIdOf = (span: number): string => span.toString(16).padStart(16, '0')

/** The three topics of a pipeline with one partition, written as its stages write them. */
export class PipelineTopics {
  readonly clock = new ManualClock()
  readonly bus: MemoryBus
  #claim = -1
  #seq = 0

  constructor() {
    this.clock.advanceMs(Date.UTC(2026, 10, 21))
    const specs = Object.values(topics).map(name => ({
      name,
      partitions: 1,
      retentionMs: 30 * dayMs,
      keyed: false,
    }))
    this.bus = new MemoryBus(specs, this.clock)
  }

  /** One record of `spans`. Traces in a row are slices of one tenant's run while the tenant stays the same. */
  async receive(...sent: readonly Sent[]): Promise<Lying[]> {
    const parts: Uint8Array[] = []
    const runs: TenantRun[] = []
    const lying: Lying[] = []
    let start = 0
    const { end: offset } = await this.bus.bounds(topics.spans, 0)
    for (const { tenant = 'default', trace, spans } of sent) {
      const traceId = traceIdOf(trace)
      const bytes = encodeTraces(tracesOf(traceId, spans))
      const last = runs.at(-1)
      if (last?.tenant === tenant) {
        runs[runs.length - 1] = { ...last, length: last.length + bytes.length }
      } else runs.push({ tenant, start, length: bytes.length })
      const ref = { partition: 0, offset, start, length: bytes.length, spanCount: spans.length }
      const facts = { startNs: '0', endNs: '1', spans: blocksOf(spans) }
      const slice = packSlice({ ref, appendedAtMs: this.clock.nowMs(), facts })
      lying.push({ tenant, traceId, slice })
      parts.push(bytes)
      start += bytes.length
    }
    const value = Buffer.concat(parts)
    await this.bus.append(topics.spans, 0, [{ value, header: encodeTenantRuns(runs) }])
    return lying
  }

  async summarise(...lying: readonly Lying[]): Promise<void> {
    for (const { tenant, traceId, slice } of lying) {
      const head = { v: 1, kind: 'summary', tenant, traceId, reason: 'root', missingParents: 0 }
      await this.#append(topics.evidence, { ...head, closedAtMs: 0, slices: [slice] })
    }
  }

  async claim(): Promise<void> {
    this.#claim = await this.#append(topics.decisions, { v: 1, kind: 'claim', by: 'test' })
    this.#seq = 0
  }

  /** The next counting decision on a trace, with the counts that its slices have unless `over` says others. */
  async decide(lying: readonly Lying[], over: Partial<Decision> = {}): Promise<number> {
    if (this.#claim < 0) await this.claim()
    const slices = lying.map(({ slice }) => slice)
    const ids = slices.flatMap(({ facts }) => idsOf(facts.spans))
    const distinct = new Set(ids).size
    const { slices: _, ...rest } = over
    return this.#append(topics.decisions, {
      v: 1,
      kind: 'decision',
      tenant: lying[0]?.tenant ?? 'default',
      traceId: lying[0]?.traceId ?? traceIdOf(1),
      revision: 1,
      claim: this.#claim,
      seq: ++this.#seq,
      verdict: 'drop',
      rules: [],
      spanCount: distinct,
      duplicateSpans: ids.length - distinct,
      sliceCount: slices.length,
      write: [],
      prev: null,
      ...rest,
      slices: over.slices ?? slices,
    })
  }

  commit(group: 'assembler' | 'sampler', offset: number): Promise<void> {
    const topic = group === 'assembler' ? topics.spans : topics.evidence
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const membership = this.bus.join(topic, group, lease =>
      lease.commit({ offset, note: '' }).then(resolve, reject),
    )
    return promise.then(() => membership.close())
  }

  /** The stages have done all that there is. */
  async settle(): Promise<void> {
    await this.commit('assembler', (await this.bus.bounds(topics.spans, 0)).end)
    await this.commit('sampler', (await this.bus.bounds(topics.evidence, 0)).end)
  }

  /** From scratch; and whoever only reads what is undecided has to find the same. `seed`: see {@link reader}. */
  async verify(tenant?: string, slicesMax = 1000, seed = 1): Promise<LedgerReport> {
    const { bus } = this
    const whole = await verifyTopics({
      bus,
      topics,
      slicesMax,
      ...(tenant !== undefined && { tenant }),
    })
    deepStrictEqual(outlineOf(await this.reader(seed).report(tenant)), outlineOf(whole))
    return whole
  }

  /** A reader that keeps up with the topics, and reads what is undecided and the records that `seed` draws. */
  reader(seed = 1): { report(tenant?: string): Promise<LedgerReport> } {
    const { bus } = this
    const tenants = new TenantSums()
    const groups = stageGroups
    const limits = { slicesMax: 10_000, overMax: 'slide', reads: 'undecided' } as const
    const verifier = new PartitionVerifier({ bus, topics, groups, tenants, seed, ...limits }, 0)
    return {
      report: async tenant => {
        await verifier.advance()
        const undecided = await verifier.settle()
        const builder = new ReportBuilder(tenants, tenant)
        await builder.add({ verifier, undecided }, bus, topics.spans)
        return builder.build(false)
      },
    }
  }

  #append(topic: string, record: object): Promise<number> {
    return this.bus.append(topic, 0, [{ value: Buffer.from(JSON.stringify(record)) }])
  }
}

/** All figures, and what is wrong by its kind, trace and place; in which order it was seen does not matter. */
export function outlineOf({ full, offending, ...figures }: LedgerReport): object {
  const wrong = offending.map(({ problem, traceId, ref }) => {
    return `${problem} ${traceId} ${ref.offset}:${ref.start}`
  })
  return { ...figures, wrong: wrong.sort() }
}

function tracesOf(traceId: string, spans: readonly number[]) {
  return {
    resourceSpans: [
      {
        resource: { attributes: [], droppedAttributesCount: 0 },
        schemaUrl: '',
        scopeSpans: [
          {
            scope: { name: 'test', version: '', attributes: [], droppedAttributesCount: 0 },
            schemaUrl: '',
            spans: spans.map(span => ({
              ...emptySpan,
              traceId: traceId,
              spanId: spanIdOf(span),
              name: `span ${span}`,
              kind: 1,
              startTimeUnixNano: 1n,
              endTimeUnixNano: 2n,
            })),
          },
        ],
      },
    ],
  }
}

function blocksOf(spans: readonly number[]): string {
  const blocks = Buffer.alloc(spans.length * spanBlockBytes)
  spans.forEach((span, at) => {
    blocks.write(spanIdOf(span), at * spanBlockBytes + blockAt.spanId, 'hex')
  })
  return blocks.toString('base64')
}

function idsOf(blocks: string): string[] {
  const bytes = Buffer.from(blocks, 'base64')
  const ids: string[] = []
  for (let at = 0; at < bytes.length; at += spanBlockBytes)
    ids.push(bytes.toString('hex', at, at + 8))
  return ids
}
