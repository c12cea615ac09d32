import { type Batch, type BusRecord, reusedMemory } from '@winnow/bus'
import type { Claim, DecisionHead } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { readDecision, readDecisionHead } from './decision-record.ts'
import type { Series } from './series.ts'
import type { Shared } from './shared.ts'

/** A decision as it lies in the log. */
export type DecisionAt = Pick<Series, 'offset' | 'last'>

/** `decisions` of one partition, whose records say where they lie when they cannot be read. */
export class DecisionsLog {
  readonly #shared: Pick<Shared, 'bus' | 'topics' | 'log'>
  readonly #partition: number
  readonly #memory = reusedMemory()

  constructor(shared: Pick<Shared, 'bus' | 'topics' | 'log'>, partition: number) {
    this.#shared = shared
    this.#partition = partition
  }

  /** The records are borrowed: valid until the next read. */
  read(offset: number, bytesMax: number, waitMs: number): Promise<Batch> {
    const { bus, topics } = this.#shared
    return bus.read(topics.decisions, this.#partition, offset, bytesMax, waitMs, this.#memory)
  }

  /** Undefined for what is no record, and counts for nobody. */
  head({ offset, value }: BusRecord): Claim | DecisionHead | undefined {
    return readDecisionHead(value, this.#place(offset))
  }

  *heads(records: readonly BusRecord[]): Generator<Claim | DecisionHead> {
    for (const record of records) {
      const head = this.head(record)
      if (head !== undefined) yield head
    }
  }

  /** Undefined where retention has passed it. */
  async fetch(offset: number): Promise<DecisionAt | undefined> {
    const { bus, topics, log } = this.#shared
    try {
      const { value } = await bus.fetch(topics.decisions, this.#partition, offset)
      const last = readDecision(value, this.#place(offset))
      if (last?.kind === 'decision') return { offset, last }
    } catch (error) {
      if (!(error instanceof PipelineError && error.code === 'OFFSET_GONE')) throw error
      log.warn('sampler.decision_gone', { partition: this.#partition, offset })
      return undefined
    }
    const where = this.#place(offset)
    throw new PipelineError('DATA_CORRUPT', `${where}: no decision where the index has one`)
  }

  #place(offset: number): string {
    return `${this.#shared.topics.decisions}/${this.#partition}@${offset}`
  }
}
