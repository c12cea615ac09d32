import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from '@winnow/bus'
import { type Component, type Metrics, PipelineError } from '@winnow/runtime'
import { type Lag, LagTrail } from './lag-trail.ts'

/** From `from` on who takes more than its share is refused and answers are held, at `max` all are refused. */
export interface LagLimit {
  readonly from: number
  readonly max: number
}

/**
 * What assembler and sampler together may be behind the acknowledgements: so much a flood can add to
 * everybody's decision delay. A machine at its limit whose clients wait for their answers stays below
 * `max` through any pause of a collector or a disk.
 */
export const decisionLagMs: LagLimit = { from: 500, max: 5_000 }

/** The same in bytes of `spans`, as parts of the ring: what lies further back is read from the disk. */
export const decisionLagRings: LagLimit = { from: 0.5, max: 1 }

/** The hot store this far behind its log: overload would feed itself. */
export const writerLagMs: LagLimit = { from: 15_000, max: 30_000 }

export const measureEveryMs = 50

type Topic = 'spans' | 'evidence' | 'decisions'

export interface PressureOptions {
  readonly bus: Bus
  /** Full names. */
  readonly topics: Readonly<Record<Topic, string>>
  readonly metrics: Metrics
  /** Of the tail of `spans` that is in memory. */
  readonly ringBytes: number
  /** Milliseconds of a clock that nobody sets. */
  readonly nowMs: () => number
  /** Of spans, since the start. */
  readonly appendedBytes: () => number
  /**
   * The next offset of a partition that the stage is not through with; undefined while the stage takes the
   * partition up, which takes as long as it takes: nobody would be decided sooner for being refused.
   */
  readonly assembled: (partition: number) => number | undefined
  readonly decided: (partition: number) => number | undefined
}

/**
 * How near the stages of one process are to being too far behind, 0 to 1: every stage between an
 * acknowledgement and a decision, and the writer. For one process alone: on Kafka lag is allowed, and
 * asking for it costs the broker requests.
 */
export class Pressure implements Component {
  readonly #options: PressureOptions
  readonly #stop = new AbortController()
  readonly #trails: Readonly<Record<Topic, LagTrail>>
  #loop: Promise<void> | undefined
  #value = 0

  constructor(options: PressureOptions) {
    const nowMs = options.nowMs()
    const trail = (): LagTrail => new LagTrail(nowMs, options.appendedBytes())
    this.#options = options
    this.#trails = { spans: trail(), evidence: trail(), decisions: trail() }
  }

  /** A half from the first limit on, 1 from the second. */
  get value(): number {
    return this.#value
  }

  async start(): Promise<void> {
    this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#loop
  }

  async measure(): Promise<void> {
    const { assembled, decided, ringBytes, metrics, bus, topics } = this.#options
    const spans = await this.#lag('spans', assembled)
    const evidence = await this.#lag('evidence', decided)
    const written = await committedOf(bus, topics.decisions, 'writer-hot')
    const decisions = await this.#lag('decisions', partition => written[partition] ?? 0)
    const bytes = Math.max(spans.bytes, evidence.bytes)
    const decision = Math.max(
      fractionOf(spans.ms + evidence.ms, decisionLagMs),
      fractionOf(bytes / ringBytes, decisionLagRings),
    )
    const writer = fractionOf(decisions.ms, writerLagMs)
    metrics.admissionPressure.set({ by: 'decision' }, decision)
    metrics.admissionPressure.set({ by: 'writer' }, writer)
    this.#value = Math.max(decision, writer)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.measure().catch((error: unknown) => {
        // Whoever appends or reads meets the same, and answers for it.
        if (!(error instanceof PipelineError)) throw error
      })
      await sleep(measureEveryMs, undefined, { signal }).catch(() => {})
    }
  }

  async #lag(topic: Topic, positionOf: (partition: number) => number | undefined): Promise<Lag> {
    const { bus, topics, nowMs, appendedBytes } = this.#options
    const ends = await endsOf(bus, topics[topic])
    const bytes = appendedBytes()
    const atMs = nowMs()
    const trail = this.#trails[topic]
    trail.mark(atMs, bytes, ends)
    return trail.lag(atMs, bytes, positionOf)
  }
}

/** A half at `from`, 1 at `max`, by a line on either side. */
export function fractionOf(lag: number, { from, max }: LagLimit): number {
  const over = (lag - from) / (max - from)
  return over < 0 ? (0.5 * lag) / from : Math.min(1, 0.5 + 0.5 * over)
}

async function endsOf(bus: Bus, topic: string): Promise<number[]> {
  const ends: number[] = []
  const partitions = await bus.partitionCount(topic)
  for (let partition = 0; partition < partitions; partition++) {
    ends.push((await bus.bounds(topic, partition)).end)
  }
  return ends
}

async function committedOf(bus: Bus, topic: string, group: string): Promise<number[]> {
  const offsets: number[] = []
  const partitions = await bus.partitionCount(topic)
  for (let partition = 0; partition < partitions; partition++) {
    offsets.push((await bus.committed(topic, group, partition))?.offset ?? 0)
  }
  return offsets
}
