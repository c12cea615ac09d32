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

  /** Undefined where retention has passed it, or its slices are broken: they are as good as gone. */
  async fetch(offset: number): Promise<DecisionAt | undefined> {
    const { log } = this.#shared
    const value = await this.#valueAt(offset)
    if (value === undefined) return undefined
    const where = this.#place(offset)
    const last = readDecision(value, where)
    if (last?.kind === 'decision') return { offset, last }
    // Heads decide what counts: this one does, for every reader, and its trace goes on as another series.
    if (readDecisionHead(value, where)?.kind === 'decision') {
      const error = new PipelineError('DATA_CORRUPT', `${where}: what should be slices is none`)
      log.error('sampler.slices_unreadable', error, { partition: this.#partition, offset })
      return undefined
    }
    throw new PipelineError('DATA_CORRUPT', `${where}: no decision where the index has one`)
  }

  async #valueAt(offset: number): Promise<Uint8Array | undefined> {
    const { bus, topics, log } = this.#shared
    try {
      return (await bus.fetch(topics.decisions, this.#partition, offset)).value
    } catch (error) {
      if (!(error instanceof PipelineError && error.code === 'OFFSET_GONE')) throw error
      log.warn('sampler.decision_gone', { partition: this.#partition, offset })
      return undefined
    }
  }

  #place(offset: number): string {
    return `${this.#shared.topics.decisions}/${this.#partition}@${offset}`
  }
}
