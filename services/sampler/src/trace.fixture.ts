import type { Decision, Evidence, PackedSlice } from '@winnow/model'
import type { Input } from './merge.ts'
import { type RevisionContext, revise } from './revise.ts'
import { noSlices, type Series } from './series.ts'
import { slicesBytes } from './slice-bytes.ts'

/** The decisions on one trace, each at the offset that is its index, as a partition's loop makes them. */
export class TraceLog {
  readonly decisions: Decision[] = []
  /** Offsets below it have left the log. */
  firstRetained = 0
  readonly #context: RevisionContext

  constructor(context: Omit<RevisionContext, 'claim' | 'seq'>) {
    this.#context = { ...context, claim: 0, seq: 1 }
  }

  get last(): Decision | undefined {
    return this.decisions.at(-1)
  }

  /** Slices of the whole chain of a decision, in the order of its links. */
  slicesOf(decision: Decision | undefined): readonly PackedSlice[] {
    if (decision === undefined) return []
    return [...this.earlierOf(decision), ...decision.slices]
  }

  earlierOf({ prev }: Decision): readonly PackedSlice[] {
    return prev === null || prev < this.firstRetained ? [] : this.slicesOf(this.decisions[prev])
  }

  /** Decides on one batch; the new decisions. */
  add(...evidence: Evidence[]): Decision[] {
    const inputs: Input[] = evidence.map((one, at) => ({ evidence: one, appendedAtMs: 2_000 + at }))
    const before = this.decisions.length
    for (;;) {
      const revision = revise(this.#series(), inputs, {
        ...this.#context,
        seq: this.decisions.length + 1,
      })
      if (revision === undefined) break
      this.decisions.push(revision.decision)
      if (!revision.placed.isPartial) break
    }
    return this.decisions.slice(before)
  }

  #series(): Series | undefined {
    const { last } = this
    if (last === undefined) return undefined
    const slices = this.earlierOf(last)
    const earlier = slices.length === 0 ? noSlices : { slices, bytes: slicesBytes(slices) }
    return { offset: this.decisions.length - 1, last, earlier, isCut: this.#isCut(last) }
  }

  #isCut({ prev }: Decision): boolean {
    if (prev === null) return false
    return prev < this.firstRetained || this.#isCut(this.decisions[prev] as Decision)
  }
}
