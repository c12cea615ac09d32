/**
 * The generator's only source of chance: mulberry32, 32 bits of state, so that a seed printed by a
 * failing test is all that is needed to see the failure again. Not for anything secret.
 */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /**
   * An independent stream for part `index` of `seed`: what one trace draws does not move the next.
   * Distinct indices below 2^32 never share a stream, because the mixing is a bijection.
   */
  static of(seed: number, index: number): Random {
    return new Random(mix(mix(index) ^ mix(seed ^ 0x9e3779b9)))
  }

  /** Uniform over the 32-bit unsigned integers. */
  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let word = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return (word ^ (word >>> 14)) >>> 0
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.uint32() / 2 ** 32
  }

  /** Uniform over the integers in [low, high]. */
  int(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1))
  }

  /** True with probability `share`; 0 never, 1 always. Draws in every case. */
  chance(share: number): boolean {
    return this.unit() < share
  }

  /** One member of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.unit() * list.length)] as T
  }

  /** Log-normal around `median`: latencies and text lengths have this shape. */
  logNormal(median: number, sigma: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.unit()))
    return median * Math.exp(sigma * radius * Math.cos(2 * Math.PI * this.unit()))
  }

  /** `words` × 8 lower-case hex digits: 4 words a trace id, 2 a span id. Never all zero. */
  hex(words: number): string {
    let text = ''
    for (let word = 0; word < words; word++) text += this.uint32().toString(16).padStart(8, '0')
    return /[1-9a-f]/.test(text) ? text : `${text.slice(1)}1`
  }

  /** A shuffled copy, Fisher-Yates. */
  shuffled<T>(list: readonly T[]): T[] {
    const copy = [...list]
    for (let at = copy.length - 1; at > 0; at--) {
      const other = this.int(0, at)
      const moved = copy[at] as T
      copy[at] = copy[other] as T
      copy[other] = moved
    }
    return copy
  }
}

/** MurmurHash3's finaliser: a bijection of the 32-bit integers in which every bit moves every other. */
function mix(value: number): number {
  let word = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
  return (word ^ (word >>> 16)) >>> 0
}
