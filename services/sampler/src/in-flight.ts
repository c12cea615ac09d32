import type { Decision } from '@winnow/model'
import { ByteSlabs } from './byte-slabs.ts'
import { VariantSpend } from './variant-spend.ts'

/**
 * What decisions that were made and not read back yet use up of a cap, and their bytes. Kept apart from the partition's
 * state, which is a fold of the log and of nothing else; cleared once they are read.
 */
export class InFlight {
  readonly spend = new VariantSpend()
  readonly bytes = new ByteSlabs()
  readonly #waiting = new Map<string, number>()

  /** `isWaiting`: with this decision a trace begins to wait for its spans. */
  add(decision: Decision, isWaiting: boolean): void {
    this.spend.add(decision)
    if (isWaiting) this.#waiting.set(decision.tenant, this.waiting(decision.tenant) + 1)
  }

  waiting(tenant: string): number {
    return this.#waiting.get(tenant) ?? 0
  }

  clear(): void {
    this.spend.clear()
    this.bytes.clear()
    this.#waiting.clear()
  }
}
