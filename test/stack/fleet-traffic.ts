// Seeded evidence for samplers, as assemblers would write it, and what samplers made of it.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, partitionOfHex, type TopicName, type TopicSpec } from '@winnow/bus'
import {
  blockAt,
  blockFlag,
  type Decision,
  packSlice,
  type RuleAnswer,
  spanBlockBytes,
} from '@winnow/model'
import { Random } from '@winnow/testing'

/** What a trace of the traffic is; also its root's operation. */
export type Kind = 'steady' | 'constant' | 'arm' | 'failing'

/** How many of each in a tick. */
export const perTick: Readonly<Record<Kind, number>> = {
  steady: 400,
  constant: 100,
  arm: 60,
  failing: 100,
}
export const tickMs = 200

export interface SentTrace {
  readonly traceId: string
  readonly kind: Kind
  readonly durationMs: number
  readonly value: Uint8Array
}

/** Traces one after another; the same ones for the same seed. */
export class FleetTraffic {
  readonly #random: Random
  #count = 0

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  /** `factor`: how much longer than usual `steady` traces take. */
  tick(kinds: readonly Kind[], factor = 1): SentTrace[] {
    return kinds.flatMap(kind =>
      Array.from({ length: perTick[kind] }, () => this.one(kind, factor)),
    )
  }

  one(kind: Kind, factor = 1): SentTrace {
    const durationMs = kind === 'steady' ? factor * this.#lognormal() : 250
    const words = Array.from({ length: 4 }, () => this.#random.uint32())
    const traceId = words.map(word => word.toString(16).padStart(8, '0')).join('')
    return { traceId, kind, durationMs, value: summaryOf(traceId, kind, durationMs, this.#count++) }
  }

  #lognormal(): number {
    const [a, b] = [this.#random.unit(), this.#random.unit()]
    const normal = Math.sqrt(-2 * Math.log(1 - a)) * Math.cos(2 * Math.PI * b)
    return Math.round(400_000 * Math.exp(0.5 * normal)) / 1_000
  }
}

const span = Buffer.alloc(spanBlockBytes)
span.writeBigUInt64BE(1n, blockAt.spanId)
const failed = Buffer.from(span)
failed.writeUInt32LE(blockFlag.error, blockAt.flags)

function summaryOf(traceId: string, kind: Kind, durationMs: number, offset: number): Uint8Array {
  const spanId = '0000000000000001'
  const slice = packSlice({
    ref: { partition: 0, offset, start: 0, length: 100, spanCount: 1 },
    appendedAtMs: Date.now(),
    facts: {
      startNs: '0',
      endNs: '0',
      spans: (kind === 'failing' ? failed : span).toString('base64'),
      services: ['bot'],
      roots: [{ spanId, service: 'bot', name: kind, startNs: '0', durationMs }],
      ...(kind === 'arm' && { experiment: 'e', variant: 'B' }),
    },
  })
  const summary = {
    v: 1,
    kind: 'summary',
    tenant: 'default',
    traceId,
    slices: [slice],
    reason: 'root',
    missingParents: 0,
    closedAtMs: Date.now(),
  }
  return Buffer.from(JSON.stringify(summary))
}

/** Topics of one pipeline, on a bus that all of them share. */
export type Topics = Readonly<Record<TopicName, TopicSpec>>

/** Appends the same traces to every pipeline. */
export async function append(
  bus: Bus,
  pipelines: readonly Topics[],
  traces: readonly SentTrace[],
): Promise<void> {
  const appends = pipelines.flatMap(({ evidence }) => {
    const of = Map.groupBy(traces, one => partitionOfHex(one.traceId, evidence.partitions))
    return [...of].map(([partition, own]) => bus.append(evidence.name, partition, own))
  })
  await Promise.all(appends)
}

/** Resolves once the samplers of every pipeline have committed all evidence that there is now. */
export async function decided(
  bus: Bus,
  pipelines: readonly Topics[],
  maxMs: number,
): Promise<void> {
  const ends = await Promise.all(
    pipelines.flatMap(({ evidence: { name, partitions } }) =>
      Array.from({ length: partitions }, async (_, at) => {
        return { name, at, end: (await bus.bounds(name, at)).end }
      }),
    ),
  )
  for (const untilMs = Date.now() + maxMs; ; await sleep(250)) {
    const left = await Promise.all(
      ends.map(async ({ name, at, end }) => {
        return end - ((await bus.committed(name, 'sampler', at))?.offset ?? 0)
      }),
    )
    const sum = left.reduce((all, one) => all + Math.max(0, one), 0)
    if (sum === 0) return
    if (Date.now() > untilMs) throw new Error(`${sum} records were not decided in ${maxMs} ms`)
  }
}

/** What of a decision is looked at. */
export interface Decided extends Pick<Decision, 'decidedAtMs' | 'verdict' | 'adjustedCount'> {
  readonly partition: number
  readonly slow: RuleAnswer
  readonly variant: RuleAnswer
  readonly error: RuleAnswer
}

/** The decisions of a pipeline by trace. */
export async function decisionsOf(bus: Bus, { decisions }: Topics): Promise<Map<string, Decided>> {
  const found = new Map<string, Decided>()
  for (let partition = 0; partition < decisions.partitions; partition++) {
    const { first, end } = await bus.bounds(decisions.name, partition)
    for (let next = first; next < end; ) {
      const { records } = await bus.read(decisions.name, partition, next, 4 * 1024 * 1024, 1_000)
      for (const { value } of records) {
        const record = JSON.parse(Buffer.from(value).toString()) as Decision
        if (record.kind !== 'decision') continue
        const [error, slow, variant] = record.rules as [RuleAnswer, RuleAnswer, RuleAnswer]
        const { decidedAtMs, verdict, adjustedCount } = record
        const one = { decidedAtMs, verdict, adjustedCount, partition, slow, variant, error }
        found.set(record.traceId, one)
      }
      next = (records.at(-1)?.offset ?? end) + 1
    }
  }
  return found
}
