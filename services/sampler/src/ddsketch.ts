/** Relative error of a quantile. */
const alpha = 0.005
const logGamma = Math.log((1 + alpha) / (1 - alpha))
/** A microsecond: what is shorter shares the lowest bucket. */
const valueMinMs = 0.001
/** A hundred days: what is longer shares the highest bucket. */
const valueMaxMs = 8.64e9
const bucketMin = bucketOf(valueMinMs)
export const bucketMax = bucketOf(valueMaxMs)
/** Buckets made beyond what a new value needs, so that growing is rare. */
const slack = 16

/** Bucket i holds the durations in (gamma^(i-1), gamma^i], gamma = (1 + alpha) / (1 - alpha). */
export function bucketOf(durationMs: number): number {
  const value = Math.min(Math.max(durationMs, valueMinMs), valueMaxMs)
  // Not -0 for what lies just below 1 ms: a bucket is compared and written as a number.
  return Math.ceil(Math.log(value) / logGamma) + 0
}

/**
 * The greatest duration of a bucket in milliseconds, rounded up so far that no duration of the bucket
 * exceeds it: whatever is above lies in a higher bucket.
 */
export function upperBoundMs(bucket: number): number {
  return Math.ceil(Math.exp(bucket * logGamma) * (1 + 1e-9) * 1e6) / 1e6
}

/**
 * DDSketch over durations in milliseconds: counts in logarithmic buckets, so that any two can be added
 * or taken apart. Memory is 4 bytes a bucket between the least and the greatest value, at most 3,100.
 */
export class DDSketch {
  count = 0
  /** Bucket of `#counts[0]`. */
  #low = 0
  #counts = new Int32Array(0)

  add(durationMs: number): void {
    const bucket = bucketOf(durationMs)
    this.#cover(bucket, bucket)
    this.#counts[bucket - this.#low] = this.#at(bucket) + 1
    this.count++
  }

  /** Adds another's counts, or with -1 takes away what was added before. */
  merge(other: DDSketch, sign: 1 | -1 = 1): void {
    if (other.count === 0) return
    this.#cover(other.#low, other.#low + other.#counts.length - 1)
    const shift = other.#low - this.#low
    for (let i = 0; i < other.#counts.length; i++) {
      this.#counts[i + shift] =
        (this.#counts[i + shift] as number) + sign * (other.#counts[i] as number)
    }
    this.count += sign * other.count
  }

  /** Values in higher buckets than this one. */
  countAbove(bucket: number): number {
    let above = 0
    const from = Math.max(0, bucket + 1 - this.#low)
    for (let i = from; i < this.#counts.length; i++) above += this.#counts[i] as number
    return above
  }

  /** Empty again, with the memory that it has. */
  clear(): void {
    this.count = 0
    this.#counts.fill(0)
  }

  /** The bucket of the value with rank ceil(quantile * count). Undefined when empty. */
  quantileBucket(quantile: number): number | undefined {
    if (this.count === 0) return undefined
    let above = this.count - Math.max(1, Math.ceil(quantile * this.count))
    // From the top: what is asked for lies there.
    for (let i = this.#counts.length - 1; i >= 0; i--) {
      above -= this.#counts[i] as number
      if (above < 0) return i + this.#low
    }
    return undefined
  }

  /** `[first bucket, counts…]`, a run of n empty buckets as -n, without empty ends. */
  toJSON(): number[] {
    const row: number[] = []
    let empty = 0
    for (let i = 0; i < this.#counts.length; i++) {
      const count = this.#counts[i] as number
      if (count === 0) {
        empty++
        continue
      }
      if (row.length === 0) row.push(i + this.#low)
      else if (empty > 0) row.push(-empty)
      row.push(count)
      empty = 0
    }
    return row
  }

  /** Undefined for what {@link toJSON} cannot have written. */
  static fromJSON(row: readonly number[]): DDSketch | undefined {
    const sketch = new DDSketch()
    if (row.length === 0) return sketch
    if (row.some(value => !Number.isInteger(value) || Math.abs(value) > 0x7fffffff))
      return undefined
    const [low = 0, ...runs] = row
    const length = runs.reduce((sum, value) => sum + (value < 0 ? -value : 1), 0)
    if (low < bucketMin || low + length - 1 > bucketMax) return undefined
    sketch.#low = low
    sketch.#counts = new Int32Array(length)
    let at = 0
    for (const value of runs) {
      if (value > 0) {
        sketch.#counts[at] = value
        sketch.count += value
      }
      at += value < 0 ? -value : 1
    }
    return sketch
  }

  #at(bucket: number): number {
    return this.#counts[bucket - this.#low] as number
  }

  #cover(from: number, to: number): void {
    const isEmpty = this.#counts.length === 0
    const end = isEmpty ? to + 1 : this.#low + this.#counts.length
    if (!isEmpty && from >= this.#low && to < end) return
    const low = Math.max(bucketMin, Math.min(isEmpty ? from : this.#low, from) - slack)
    const counts = new Int32Array(Math.max(end, to + 1) + slack - low)
    if (!isEmpty) counts.set(this.#counts, this.#low - low)
    this.#low = low
    this.#counts = counts
  }
}
