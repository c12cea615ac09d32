import type { Bus } from '@winnow/bus'

export interface PassedStagesOptions {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: { readonly spans: string; readonly evidence: string }
  readonly groups: { readonly assembler: string; readonly sampler: string }
}

/** Up to where both stages have passed the slices of one partition, from their positions alone. */
export class PassedStages {
  readonly #options: PassedStagesOptions
  readonly #partition: number
  #dueTo = 0
  /** Where the assembler was, and what of evidence there was then: once that is committed all before is due. */
  #awaited: { readonly spans: number; readonly evidence: number } | undefined

  constructor(options: PassedStagesOptions, partition: number) {
    this.#options = options
    this.#partition = partition
  }

  /**
   * An offset of `spans`: whatever lies below it has been summarised, and its summaries have been decided on. Each
   * figure is read before the log that has to contain what follows from it.
   */
  async look(): Promise<number> {
    const { bus, topics, groups } = this.#options
    const assembled = await bus.committed(topics.spans, groups.assembler, this.#partition)
    if (assembled === undefined) return this.#dueTo
    const { first, end } = await bus.bounds(topics.evidence, this.#partition)
    this.#awaited ??= { spans: assembled.offset, evidence: end }
    const sampled = await bus.committed(topics.evidence, groups.sampler, this.#partition)
    if ((sampled?.offset ?? first) >= this.#awaited.evidence) {
      this.#dueTo = this.#awaited.spans
      this.#awaited = undefined
    }
    return this.#dueTo
  }
}
