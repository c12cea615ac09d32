import { shareOf } from './share.ts'
import { type Estimate, Total } from './total.ts'

/** Null where no trace has the quantity. */
export type QuantileEstimate = Estimate | null

/** Traces a block: within it totals are added up anew, before it they are remembered. */
const blockLength = 64

/**
 * Quantiles of a quantity over all traces. The interval of a quantile is every value at which the share of
 * traces up to it may be that quantile (Woodruff 1952), with `shareOf` for that share: traces that a rule
 * keeps for certain, as those that took long, narrow it where they lie.
 */
export class Quantiles {
  readonly #values: number[] = []
  readonly #probabilities: number[] = []

  add(value: number, probability: number): void {
    this.#values.push(value)
    this.#probabilities.push(probability)
  }

  /** `possible`: see `Total.interval`. */
  estimate(quantiles: readonly number[], possible: readonly number[]): QuantileEstimate[] {
    if (this.#values.length === 0) return quantiles.map(() => null)
    const sorted = new SortedTotals(this.#values, this.#probabilities)
    return quantiles.map(quantile => {
      const first = (isReached: (upTo: Total, all: Total) => boolean): number | null => {
        const at = sorted.firstWhere(isReached)
        return at === undefined ? null : (sorted.values[at] as number)
      }
      const share = (upTo: Total, all: Total): Estimate =>
        shareOf(upTo.interval(possible), all.without(upTo).interval(possible)) as Estimate
      // A hair less, for sums of fractions may miss what they add up to.
      const wanted = quantile * (1 - 1e-12)
      const value = first((upTo, all) => upTo.value >= wanted * all.value) as number
      const low = first((upTo, all) => (share(upTo, all).high ?? 1) >= wanted) as number
      const high = first((upTo, all) => share(upTo, all).low >= wanted)
      return {
        value,
        low: Math.min(low, value),
        high: high === null ? null : Math.max(high, value),
      }
    })
  }
}

class SortedTotals {
  readonly values: Float64Array
  readonly #probabilities: Float64Array
  /** Of all before each block; the last is of all. */
  readonly #before: Total[] = []
  readonly #all: Total

  constructor(values: readonly number[], probabilities: readonly number[]) {
    const order = Uint32Array.from(values.keys()).sort(
      (a, b) => (values[a] as number) - (values[b] as number),
    )
    this.values = Float64Array.from(order, at => values[at] as number)
    this.#probabilities = Float64Array.from(order, at => probabilities[at] as number)
    const running = new Total()
    for (const [at, probability] of this.#probabilities.entries()) {
      if (at % blockLength === 0) this.#before.push(running.copy())
      running.add(1, probability)
    }
    this.#all = running
  }

  /** By bisection: what is reached at one value is reached at every greater one. */
  firstWhere(isReached: (upTo: Total, all: Total) => boolean): number | undefined {
    let low = 0
    let high = this.values.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isReached(this.#upTo(middle), this.#all)) high = middle
      else low = middle + 1
    }
    return low < this.values.length ? low : undefined
  }

  /** All at or below the value there: equal ones behind it too. */
  #upTo(at: number): Total {
    const { values } = this
    let end = at + 1
    while (end < values.length && values[end] === values[at]) end++
    const block = Math.floor(end / blockLength)
    const total = (this.#before[block] ?? this.#all).copy()
    if (block >= this.#before.length) return total
    for (let i = block * blockLength; i < end; i++) total.add(1, this.#probabilities[i] as number)
    return total
  }
}
