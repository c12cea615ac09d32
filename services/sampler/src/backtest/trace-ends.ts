import type { Decision, PackedSlice } from '@winnow/model'
import type { PlacedDecision } from './ledger-decisions.ts'

/** The last decision on a trace, with the slices of its whole chain as far as they were there. */
export interface TraceEnd {
  readonly decision: Decision
  readonly slices: readonly PackedSlice[]
  /** Part of its chain lies before what was read. */
  readonly isPartial: boolean
}

/** Traces of which an earlier revision is still to be read, and chains; over it the window is too long. */
export const openTracesMax = 2_000_000

interface Chain {
  readonly decision: Decision
  readonly slices: (readonly PackedSlice[])[]
  next: number
}

/**
 * Finds the last decision of every trace where decisions come the last first: what comes of a trace later is an
 * earlier revision. It remembers traces whose first revision is still to come, and nothing else.
 */
export class TraceEnds {
  readonly #open = new Map<string, Chain | null>()

  get open(): number {
    return this.#open.size
  }

  /** The end of a trace, once all of it is there. */
  take({ decision, offset }: PlacedDecision): TraceEnd | undefined {
    const { tenant, traceId, revision, prev } = decision
    const key = `${tenant}\n${traceId}`
    const known = this.#open.get(key)
    if (known === undefined) {
      if (prev !== null) {
        this.#open.set(key, { decision, slices: [decision.slices], next: prev })
        return undefined
      }
      if (revision > 1) this.#open.set(key, null)
      return { decision, slices: decision.slices, isPartial: false }
    }
    const end = known === null ? undefined : this.#link(key, known, decision, offset)
    if (revision === 1) this.#open.delete(key)
    return end
  }

  /** Of a partition all is read: chains of which a part is missing. */
  *rest(): Generator<TraceEnd> {
    for (const chain of this.#open.values()) {
      if (chain === null) continue
      yield { decision: chain.decision, slices: chain.slices.flat(), isPartial: true }
    }
    this.#open.clear()
  }

  #link(
    key: string,
    chain: Chain,
    { slices, prev }: Decision,
    offset: number,
  ): TraceEnd | undefined {
    if (offset !== chain.next) return undefined
    chain.slices.push(slices)
    if (prev !== null) {
      chain.next = prev
      return undefined
    }
    this.#open.set(key, null)
    return { decision: chain.decision, slices: chain.slices.reverse().flat(), isPartial: false }
  }
}
