import type { PartitionState } from './partition-state.ts'

/**
 * Folds of partitions that this process held and may hold again: after a rebalance that gives one back
 * nothing has to be read twice. A fold of the log stays one whoever owns the partition; over the limit
 * the one that was given up first goes.
 */
export class KeptStates {
  readonly #tracesMax: number
  readonly #states = new Map<number, PartitionState>()

  /** At most so many traces in all. */
  constructor(tracesMax: number) {
    this.#tracesMax = tracesMax
  }

  keep(partition: number, state: PartitionState): void {
    this.#states.delete(partition)
    this.#states.set(partition, state)
    let traces = 0
    for (const kept of this.#states.values()) traces += kept.traces
    for (const [oldest, kept] of this.#states) {
      if (traces <= this.#tracesMax) return
      this.#states.delete(oldest)
      traces -= kept.traces
    }
  }

  /** The partition's, which its new holder moves on; nobody else has it then. */
  take(partition: number): PartitionState | undefined {
    const state = this.#states.get(partition)
    this.#states.delete(partition)
    return state
  }
}
