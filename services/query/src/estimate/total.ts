/** 95 % between its two ends. `high` is null where nothing that was seen bounds it. */
export interface Estimate {
  readonly value: number
  readonly low: number
  readonly high: number | null
}

/** The 97.5 % point of the normal distribution. */
const z = 1.959963984540054

/**
 * The sum of an amount over all traces, from those that were kept: each was kept by a draw of its own with
 * a known probability p, so that amount / p adds up to the truth on average (Horvitz, Thompson 1952).
 * Amounts are not negative. Draws of like probability are taken together, for what is known of the variance
 * of a thousand draws of one half says nothing of the one draw of a hundredth beside them:
 *
 *   p     1          0.5 to 1       0.25 to 0.5      …
 *         no draw    `#draws[0]`    `#draws[1]`
 */
export class Total {
  /** The estimate. */
  value = 0
  /** What was seen: the truth is no less. */
  seen = 0
  readonly #draws: (Draws | undefined)[] = []

  add(amount: number, probability: number): void {
    this.seen += amount
    this.value += amount / probability
    if (probability >= 1) return
    const at = placeOf(probability)
    let draws = this.#draws[at]
    if (draws === undefined) {
      draws = new Draws()
      this.#draws[at] = draws
    }
    draws.add(amount, probability)
  }

  /** What of this total is not in `part`, which is a part of it. */
  without(part: Total): Total {
    const rest = new Total()
    rest.value = atLeast0(this.value - part.value)
    rest.seen = atLeast0(this.seen - part.seen)
    for (const [at, draws] of this.#draws.entries()) {
      const others = draws?.without(part.#draws[at])
      if (others !== undefined) rest.#draws[at] = others
    }
    return rest
  }

  copy(): Total {
    return this.without(nothing)
  }

  /** Every trace in it was kept for certain. */
  get isWhole(): boolean {
    return this.#draws.every(draws => draws === undefined)
  }

  /**
   * `possible`: probabilities with which traces may have been kept that belong here though none was seen,
   * each of the amount 1. The distances of all groups of draws from their own intervals are added as their
   * squares are (MOVER, Zou and Donner 2008). Without a draw, seen or possible, it is a point.
   */
  interval(possible: readonly number[]): Estimate {
    let below = 0
    let above = 0
    for (const probability of this.#unseen(possible)) above += noneSeen(probability) ** 2
    for (const draws of this.#draws) {
      if (draws === undefined) continue
      const { less, more } = draws.distances()
      below += less * less
      above += more * more
    }
    const { value, seen } = this
    const high = value + Math.sqrt(above)
    return {
      value,
      low: below === 0 ? value : Math.max(seen, value - Math.sqrt(below)),
      high: Number.isFinite(high) ? high : null,
    }
  }

  /**
   * The same of an amount that may be anything: where draws are possible of which none was seen it has no
   * upper bound, for draws of another probability say nothing of what these would have been.
   */
  intervalOfAny(possible: readonly number[]): Estimate {
    const { value, low, high } = this.interval([])
    return { value, low, high: this.#unseen(possible).length === 0 ? high : null }
  }

  #unseen(possible: readonly number[]): readonly number[] {
    return possible.filter(
      probability => probability < 1 && this.#draws[placeOf(probability)] === undefined,
    )
  }
}

/** Those of like probability, as sums of powers. */
class Draws {
  #count = 0
  #value = 0
  #seen = 0
  /** Of the estimate. */
  #variance = 0
  /** Of the estimate with its estimated variance: both grow by the same draws. */
  #covariance = 0
  /** Third central moment of the estimate. */
  #third = 0

  add(amount: number, probability: number): void {
    const stands = amount / probability
    const dropped = 1 - probability
    const square = stands * stands * dropped
    this.#count++
    this.#value += stands
    this.#seen += amount
    this.#variance += square
    this.#covariance += square * stands * dropped
    this.#third += square * stands * (1 - 2 * probability)
  }

  /** Undefined where nothing is left: a difference of sums of fractions would rarely be 0. */
  without(part = new Draws()): Draws | undefined {
    const rest = new Draws()
    rest.#count = this.#count - part.#count
    if (rest.#count === 0) return undefined
    rest.#value = atLeast0(this.#value - part.#value)
    rest.#seen = atLeast0(this.#seen - part.#seen)
    rest.#variance = atLeast0(this.#variance - part.#variance)
    rest.#covariance = atLeast0(this.#covariance - part.#covariance)
    rest.#third = this.#third - part.#third
    return rest
  }

  /**
   * How far the truth may lie below the estimate, and how far above: a score interval, of all truths that
   * the estimate does not contradict where its variance moves with the truth by the slope that was seen,
   * with the skewness of the estimate taken out (Hall 1992). Of a count it is Wilson's for rare events.
   */
  distances(): { readonly less: number; readonly more: number } {
    if (this.#variance <= 0) return { less: 0, more: 0 }
    const slope = this.#covariance / this.#variance
    const skew = this.#third / this.#variance
    const shift = (z * z * slope) / 2 - ((z * z - 1) * skew) / 6
    const half = z * Math.sqrt(this.#variance + (z * z * slope * slope) / 4)
    const less = Math.min(half - shift, this.#value - this.#seen)
    return { less: atLeast0(less), more: half + shift }
  }
}

/** `Draws.distances` above none, of counts: some three divided by the probability. */
function noneSeen(probability: number): number {
  const dropped = 1 - probability
  const skew = 1 - 2 * probability
  return (z * z * dropped - ((z * z - 1) * skew) / 6) / probability
}

/** Like probabilities have one: each power of two is another. */
export function placeOf(probability: number): number {
  return Math.min(placeMax, Math.floor(-Math.log2(probability)))
}

/** A threshold has 56 bits. */
const placeMax = 56

const nothing = new Total()

function atLeast0(value: number): number {
  return value > 0 ? value : 0
}
