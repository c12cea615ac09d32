import { partitionOfHex } from '@winnow/bus'
import {
  type EvaluationRecord,
  encodeTenantRuns,
  type RescueRequest,
  type RetractionRecord,
} from '@winnow/model'
import { emptySpan, encodeTraces, type KeyValue, type Span, type TracesData } from '@winnow/otlp'
import type { Random } from '@winnow/testing'

/** One trace's spans side by side in a record of `spans`, as they were sent. */
export interface SentSlice {
  readonly tenant: string
  readonly traceId: string
  readonly start: number
  readonly length: number
  readonly data: TracesData
}

export interface SpansEvent {
  readonly kind: 'spans'
  readonly atMs: number
  readonly tenant: string
  readonly traceId: string
  readonly spans: readonly Span[]
  readonly service: string
}

export interface EvidenceEvent {
  readonly kind: 'evidence'
  readonly atMs: number
  readonly record: EvaluationRecord | RetractionRecord | RescueRequest
}

export type ClientEvent = SpansEvent | EvidenceEvent

export interface Workload {
  /** By time. */
  readonly events: ClientEvent[]
  readonly counts: ReadonlyMap<string, number>
}

/** What clients send in one run: traces of many shapes, retries, evaluations, requests. */
export function planWorkload(random: Random, startMs: number, isLong: boolean): Workload {
  const plan = new Plan(random, startMs, isLong)
  const traces = random.int(3, 10)
  for (let n = 0; n < traces; n++) plan.trace(n)
  if (random.chance(0.2)) plan.giant(traces)
  if (random.chance(0.3)) plan.orphan(traces + 1)
  const events = plan.events.map((event, at) => ({ event, at }))
  events.sort((x, y) => x.event.atMs - y.event.atMs || x.at - y.at)
  return { events: events.map(({ event }) => event), counts: plan.counts }
}

const spanIdOf = (n: number): string => (n + 1).toString(16).padStart(16, '0')

class Plan {
  readonly events: ClientEvent[] = []
  readonly counts = new Map<string, number>()
  readonly #random: Random
  readonly #startMs: number
  readonly #isLong: boolean

  constructor(random: Random, startMs: number, isLong: boolean) {
    this.#random = random
    this.#startMs = startMs
    this.#isLong = isLong
  }

  trace(n: number): void {
    const random = this.#random
    const traceId = this.#traceId(n)
    const tenants = random.chance(0.15) ? ['a', 'b'] : [random.pick(['a', 'a', 'b'])]
    if (tenants.length > 1) this.#count('trace id shared by two tenants')
    for (const tenant of tenants) {
      this.#slices(tenant, traceId)
      for (let j = random.int(0, 2); j > 0; j--) this.#evaluation(tenant, traceId, j)
      if (random.chance(0.06)) this.#request(tenant, traceId)
    }
  }

  /** More than one record of `decisions` takes: by the number of its slices, or by their facts. */
  giant(trace: number): void {
    const random = this.#random
    const traceId = this.#traceId(trace)
    const isByRefs = random.chance(0.25)
    const slices = isByRefs ? random.int(257, 420) : random.int(40, 90)
    const perSlice = isByRefs ? 1 : 20
    const rest = { kind: 'spans', tenant: 'a', traceId, service: 'giant' } as const
    let atMs = this.#at(0, 200)
    for (let j = 0; j < slices; j++) {
      const spans = Array.from({ length: perSlice }, (_, at) => {
        const n = 1 + j * perSlice + at
        const span = spanOf(random, traceId, n, random.int(0, n - 1), 0.02 / slices / perSlice)
        // Facts of entry spans are long.
        return isByRefs ? span : { ...span, kind: 2 }
      })
      if (j === slices - 1) spans.push(spanOf(random, traceId, 0, undefined, 0))
      this.events.push({ ...rest, atMs, spans })
      const isPause = random.chance(isByRefs ? 0.01 : 0.08)
      atMs += isPause ? 70_000 : random.int(0, isByRefs ? 400 : 2_000)
    }
    for (let j = 1; j <= 3; j++) this.#evaluation('a', traceId, j)
    this.#count(isByRefs ? 'giant trace by slices' : 'giant trace by bytes')
  }

  orphan(n: number): void {
    this.#evaluation('a', this.#traceId(n), 1)
    this.#count('evaluation without a trace')
  }

  #traceId(n: number): string {
    return n.toString(16).padStart(6, 'a') + this.#random.hex(4).slice(6)
  }

  #slices(tenant: string, traceId: string): void {
    const random = this.#random
    const count = random.int(1, 5)
    const style = random.int(0, 3)
    const service = random.pick(['bot', 'bot', 'search'])
    const isRooted = random.chance(0.8)
    const state = random.chance(0.1) ? `ot=rv:${random.hex(2).slice(2)};th:8` : ''
    const arm = random.chance(0.1) ? random.pick(['a', 'b']) : undefined
    if (!isRooted) this.#count('trace without a root')
    let atMs = this.#at(0, 300)
    let id = 0
    let before: readonly Span[] = []
    for (let j = 0; j < count; j++) {
      const isLast = j === count - 1
      const spans = Array.from({ length: random.int(1, 3) }, (_, at) => {
        const isRoot = isRooted && isLast && at === 0
        const own = id++
        const parent = random.chance(0.07) ? 99 : Math.max(0, random.int(0, own) - 1)
        const span = spanOf(random, traceId, own, isRoot ? undefined : parent, 0.03, arm)
        return state === '' ? span : { ...span, traceState: state }
      })
      const rest = { kind: 'spans', tenant, traceId, service } as const
      this.events.push({ ...rest, atMs, spans })
      if (random.chance(0.15)) {
        const isRegrouped = before.length > 0 && random.chance(0.5)
        const again = isRegrouped ? [...before.slice(-1), ...spans] : spans
        this.#count(isRegrouped ? 'retry grouped otherwise' : 'retry of a client')
        this.events.push({
          ...rest,
          atMs: atMs + random.pick([0, 1, 30, 400]) * 1000,
          spans: again,
        })
      }
      before = spans
      atMs += this.#pauseMs(style)
    }
  }

  #pauseMs(style: number): number {
    const random = this.#random
    const pauses = [
      [0, 1, 2],
      [1, 4, 70, 130],
      [20, 55, 110, 150, 300],
      [1, 2, 2500, 7000],
    ]
    let seconds = random.pick(pauses[style] as number[])
    if (this.#isLong && random.chance(0.1)) seconds += random.pick([80_000, 90_000, 300_000])
    if (seconds >= 300) this.#count('late spans')
    return seconds * 1000 + random.int(0, 900)
  }

  #evaluation(tenant: string, traceId: string, n: number): void {
    const random = this.#random
    const name = random.pick(['judge', 'citation', 'csat', 'thumb'])
    const isBad = random.chance(0.3)
    const verdict =
      name === 'csat' ? { score: isBad ? random.int(1, 2) : random.int(3, 5) } : { passed: !isBad }
    const id = `${traceId}.e${n}`
    const record = { v: 1, kind: 'evaluation', tenant, traceId, id, name, ...verdict } as const
    this.#evidence(record, [0, 0, 100, 400, 900, 6000])
    if (isBad && name === 'judge') this.#retraction(tenant, traceId, id)
  }

  /** Some time around the evaluation; half of them before it. Draws nothing, so that a seed's run stays what it was. */
  #retraction(tenant: string, traceId: string, id: string): void {
    const sentAtMs = this.events.at(-1)?.atMs ?? this.#startMs
    const atMs = Math.max(this.#startMs, sentAtMs + ((sentAtMs % 7) - 3) * 1000)
    const record = { v: 1, kind: 'retraction', tenant, traceId, id } as const
    this.events.push({ kind: 'evidence', atMs, record })
    this.#count('evaluation taken back')
  }

  #request(tenant: string, traceId: string): void {
    const id = `${traceId}.r1`
    const record = { v: 1, kind: 'request', tenant, traceId, id, reason: 'look at it' } as const
    this.#evidence(record, [0, 200, 900, 6000])
    this.#count('rescue request')
  }

  #evidence(record: EvaluationRecord | RescueRequest, delays: readonly number[]): void {
    const random = this.#random
    const isLate = this.#isLong && random.chance(0.15)
    const seconds = isLate ? random.pick([80_000, 95_000, 280_000]) : random.pick(delays)
    const atMs = this.#at(seconds, 300)
    this.events.push({ kind: 'evidence', atMs, record })
    if (random.chance(0.25)) {
      this.events.push({ kind: 'evidence', atMs: atMs + random.pick([0, 5, 3000]) * 1000, record })
      this.#count('evaluation sent again')
    }
  }

  #at(seconds: number, within: number): number {
    return this.#startMs + (seconds + this.#random.int(0, within)) * 1000 + this.#random.int(0, 999)
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }
}

function spanOf(
  random: Random,
  traceId: string,
  n: number,
  parent: number | undefined,
  failing: number,
  arm?: string,
): Span {
  const startNs = 1_700_000_000_000_000_000n + BigInt(random.int(0, 2_000)) * 1_000_000n
  const attributes: KeyValue[] = [
    { key: 'gen_ai.usage.input_tokens', value: { intValue: BigInt(random.int(1, 900)) } },
  ]
  const fails = random.unit()
  if (fails < failing) {
    attributes.push({ key: 'judge.score', value: { doubleValue: 0.1 } })
  } else if (fails < 2 * failing) {
    attributes.push({ key: 'outcome.resolved', value: { boolValue: false } })
  } else if (fails < 3 * failing) {
    attributes.push({ key: 'outcome.csat_response', value: { intValue: 2n } })
  }
  if (arm !== undefined) {
    attributes.push({ key: 'experiment.id', value: { stringValue: 'exp' } })
    attributes.push({ key: 'experiment.variant', value: { stringValue: arm } })
  }
  return {
    ...emptySpan,
    traceId,
    spanId: spanIdOf(n),
    parentSpanId: parent === undefined ? '' : spanIdOf(parent === n ? n + 1 : parent),
    flags: 0x101,
    name: `op${n % 3}`,
    kind: random.pick([1, 1, 1, 3, 2]),
    startTimeUnixNano: startNs,
    endTimeUnixNano: startNs + BigInt(random.int(1, 4_000)) * 1_000_000n,
    attributes,
    status: { message: '', code: random.chance(failing) ? 2 : 1 },
  }
}

export interface ComposedRecord {
  readonly partition: number
  readonly value: Uint8Array
  readonly header: Uint8Array
  readonly slices: readonly SentSlice[]
}

/** What a receiver makes of events that came together: a record a partition, a slice a trace. */
export function composeRecords(
  events: readonly SpansEvent[],
  partitions: number,
): ComposedRecord[] {
  const byPartition = Map.groupBy(events, ({ traceId }) => partitionOfHex(traceId, partitions))
  return [...byPartition].map(([partition, own]) => composeRecord(partition, own))
}

function composeRecord(partition: number, events: readonly SpansEvent[]): ComposedRecord {
  const parts: Uint8Array[] = []
  const slices: SentSlice[] = []
  const runs: { tenant: string; start: number; length: number }[] = []
  let at = 0
  for (const [tenant, ofTenant] of Map.groupBy(events, event => event.tenant)) {
    const start = at
    for (const [traceId, own] of Map.groupBy(ofTenant, event => event.traceId)) {
      const data = tracesOf(
        own.flatMap(({ spans }) => spans),
        own[0]?.service ?? '',
      )
      const bytes = encodeTraces(data)
      slices.push({ tenant, traceId, start: at, length: bytes.length, data })
      parts.push(bytes)
      at += bytes.length
    }
    runs.push({ tenant, start, length: at - start })
  }
  return { partition, value: Buffer.concat(parts), header: encodeTenantRuns(runs), slices }
}

function tracesOf(spans: readonly Span[], service: string): TracesData {
  const scope = { name: 'sim', version: '', attributes: [], droppedAttributesCount: 0 }
  const attributes = [{ key: 'service.name', value: { stringValue: service } }]
  return {
    resourceSpans: [
      {
        resource: { attributes, droppedAttributesCount: 0 },
        scopeSpans: [{ scope, spans, schemaUrl: '' }],
        schemaUrl: '',
      },
    ],
  }
}
