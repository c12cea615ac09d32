import type { NamedSlices } from './named-slices.ts'
import { SpanIdSet } from './span-id-set.ts'

/**
 * What the records of a chain say together, up to one of them: a decision behind it states only the
 * slices that they do not have (`prev`).
 */
export class ChainFacts {
  readonly ids = new SpanIdSet()
  slices = 0
  spans = 0
  readonly #offsets: number[] = []
  readonly #fresh: number[] = []
  readonly #repeats: number[] = []

  /** The slices of the chain's next record. */
  add(named: NamedSlices): void {
    for (let slice = 0; slice < named.length; slice++) {
      const spans = named.spanCount[slice] as number
      let fresh = 0
      for (let at = named.spanFrom[slice] as number, left = spans; left > 0; left--, at++) {
        if (this.ids.add(named.spanIds[2 * at] as number, named.spanIds[2 * at + 1] as number)) {
          fresh++
        }
      }
      this.slices++
      this.spans += spans
      this.#offsets.push(named.offset[slice] as number)
      this.#fresh.push(fresh)
      this.#repeats.push(spans - fresh)
    }
  }

  /** Of its slices below `offset`: spans that came first there, and repeats. */
  below(offset: number): { readonly fresh: number; readonly repeats: number } {
    let fresh = 0
    let repeats = 0
    for (let at = 0; at < this.#offsets.length; at++) {
      if ((this.#offsets[at] as number) >= offset) continue
      fresh += this.#fresh[at] as number
      repeats += this.#repeats[at] as number
    }
    return { fresh, repeats }
  }
}
