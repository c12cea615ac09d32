import type { Bus } from '@winnow/bus'
import { type Metrics, PipelineError } from '@winnow/runtime'
import type { StageName } from './stages/stage.ts'

type Topics = Readonly<Record<'spans' | 'evidence' | 'decisions', string>>

/** The groups of each stage with the topic that they fold. */
export const groupsOf: Readonly<Record<StageName, Readonly<Record<string, keyof Topics>>>> = {
  receiver: {},
  assembler: { assembler: 'spans' },
  sampler: { sampler: 'evidence' },
  writer: { 'writer-hot': 'decisions', 'writer-segments': 'decisions' },
  query: {},
}

/**
 * Whose retention a group must not fall behind. A writer reads the bodies that a decision names, so it
 * has the life of `spans`, however long `decisions` live.
 */
const retentionOf: Readonly<Record<keyof Topics, 'spans' | 'evidence'>> = {
  spans: 'spans',
  evidence: 'evidence',
  decisions: 'spans',
}

/** How long whoever asks for metrics waits for new figures: a bus that is down answers nothing soon. */
export const measureWaitMaxMs = 2000

interface Lag {
  readonly records: number
  readonly ageMs: number
}

/** How far every group of some stages is behind, for `/metrics`. */
export class BusLag {
  readonly #bus: Bus
  readonly #topics: Topics
  readonly #groups: readonly (readonly [group: string, topic: keyof Topics])[]
  readonly #metrics: Metrics
  #measuring: Promise<void> | undefined

  /** `retentionMs` of the topics that bodies and evidence lie in. */
  constructor(
    bus: Bus,
    topics: Topics,
    metrics: Metrics,
    stages: readonly StageName[],
    retentionMs: Readonly<Record<'spans' | 'evidence', number>>,
  ) {
    this.#groups = stages.flatMap(stage => Object.entries(groupsOf[stage]))
    this.#bus = bus
    this.#topics = topics
    this.#metrics = metrics
    for (const [group, topic] of this.#groups) {
      metrics.busRetention.set({ group }, retentionMs[retentionOf[topic]] / 1000)
    }
  }

  /**
   * New figures, or after {@link measureWaitMaxMs} those there are: the other metrics are still asked
   * for. One measurement at a time, however many ask.
   */
  async measure(): Promise<void> {
    this.#measuring ??= this.#measureAll().finally(() => {
      this.#measuring = undefined
    })
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, measureWaitMaxMs)
    await Promise.race([this.#measuring, late.promise]).finally(() => clearTimeout(timer))
  }

  async #measureAll(): Promise<void> {
    for (const [group, topic] of this.#groups) {
      const lag = await this.#known(group, this.#topics[topic])
      if (lag === undefined) continue
      this.#metrics.busLagRecords.set({ group }, lag.records)
      this.#metrics.busLagSeconds.set({ group }, lag.ageMs / 1000)
    }
  }

  /**
   * Undefined while the bus does not answer, or where retention passed a record between two questions:
   * whoever appends or reads meets the same and answers for it.
   */
  async #known(group: string, topic: string): Promise<Lag | undefined> {
    try {
      return await this.#of(group, topic)
    } catch (error) {
      if (error instanceof PipelineError) return undefined
      throw error
    }
  }

  /** `ageMs`: between the newest record and the oldest that is not committed, so that silence is no lag. */
  async #of(group: string, topic: string): Promise<Lag> {
    const count = await this.#bus.partitionCount(topic)
    const lags = await Promise.all(
      Array.from({ length: count }, (_, partition) => this.#ofPartition(group, topic, partition)),
    )
    return {
      records: lags.reduce((sum, { records }) => sum + records, 0),
      ageMs: lags.reduce((max, { ageMs }) => Math.max(max, ageMs), 0),
    }
  }

  async #ofPartition(group: string, topic: string, partition: number): Promise<Lag> {
    // The end is asked for last: what is appended meanwhile is seen as behind, not overlooked.
    const committed = await this.#bus.committed(topic, group, partition)
    const { first, end } = await this.#bus.bounds(topic, partition)
    const from = Math.max(committed?.offset ?? first, first)
    if (end <= from) return { records: 0, ageMs: 0 }
    const [{ records: oldest }, newest] = await Promise.all([
      this.#bus.read(topic, partition, from, 1, 0),
      this.#bus.fetch(topic, partition, end - 1),
    ])
    const oldestAtMs = oldest[0]?.appendedAtMs ?? newest.appendedAtMs
    return { records: end - from, ageMs: Math.max(0, newest.appendedAtMs - oldestAtMs) }
  }
}
