/** What a reader has before it: how long it has been there, and how much there is. */
export interface Lag {
  readonly ms: number
  /** Of the count that the marks were made with. */
  readonly bytes: number
}

export const noLag: Lag = { ms: 0, bytes: 0 }

interface Mark extends Seen {
  readonly ends: readonly number[]
}

interface Seen {
  readonly atMs: number
  readonly bytes: number
}

/** Of one trail. Past it every second one goes: a lag that long is told half as finely. */
export const marksMax = 256

/**
 * Where a topic ended when, so that a reader's places in it can be told as time and bytes without
 * reading a record.
 *
 *     ── mark ──── mark ──── mark ──── mark ── now ▶
 *          ▲ the reader has passed this one in every partition
 *          └────────── its lag ───────────────┘
 *
 * What lay in the topic before the first mark counts from there on.
 */
export class LagTrail {
  #marks: Mark[] = []
  #passed: Seen

  constructor(atMs: number, bytes: number) {
    this.#passed = { atMs, bytes }
  }

  /** `ends`: the next offset of each partition. `bytes`: a count of what was appended that only grows. */
  mark(atMs: number, bytes: number, ends: readonly number[]): void {
    const last = this.#marks.at(-1)
    if (last !== undefined && ends.every((end, partition) => end === last.ends[partition])) return
    this.#marks.push({ atMs, bytes, ends })
    if (this.#marks.length > marksMax) this.#marks = this.#marks.filter((_mark, at) => at % 2 === 0)
  }

  /**
   * `positionOf`: the next offset that a partition's reader is not through with yet. While that is
   * unknown, the partition has no lag; what lies in it then counts from when it is known.
   */
  lag(nowMs: number, bytes: number, positionOf: (partition: number) => number | undefined): Lag {
    const isPassed = ({ ends }: Mark): boolean =>
      ends.every((end, partition) => end <= (positionOf(partition) ?? end))
    for (let next = this.#marks[0]; next !== undefined && isPassed(next); next = this.#marks[0]) {
      this.#passed = next
      this.#marks.shift()
    }
    if (this.#marks.length === 0) {
      this.#passed = { atMs: nowMs, bytes }
      return noLag
    }
    return { ms: Math.max(0, nowMs - this.#passed.atMs), bytes: bytes - this.#passed.bytes }
  }
}
