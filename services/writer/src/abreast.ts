// Hot: every decision passes here twice, dropped ones too.
import type { StageClock } from '@winnow/runtime'
import { abreastAgeMs, abreastPauseMs, abreastTakenMs } from './config.ts'

/** What one group has made of a record, until the other has come to it. */
interface Held<V> {
  readonly offset: number
  readonly value: V
  readonly weight: number
}

/** The groups of one partition that run in this writer. */
interface Pair {
  readonly runners: Runner[]
  /** When something was last taken over; before that, when the second of them came. */
  takenAtMs: number
}

/**
 * Keeps the two groups of a writer near each other, partition by partition, so that what one has read and
 * parsed is still in memory when the other asks for it. Without that the faster one runs ahead until
 * nothing is shared any more, and from then on all work is done twice: under load, just when it should not.
 *
 *     ── records ──▶  hot ─────────── segments
 *                      ▲   held     ▲
 *                      │            └ reads on while there is room, else waits for what hot takes
 *                      └ what it asks for is there
 *
 * Nobody waits for one that has stopped, is elsewhere, or is far behind: it is a matter of CPU alone.
 */
export class Abreast {
  readonly #clock: StageClock
  readonly #pairs = new Map<number, Pair>()
  readonly #shelves: Shelf<unknown, unknown>[] = []

  constructor(clock: StageClock) {
    this.#clock = clock
  }

  /** A place for what is handed over, for `weightMax` at most of all partitions together. */
  shelf<K, V>(weightMax: number): Shelf<K, V> {
    const shelf = new Shelf<K, V>(this, weightMax)
    this.#shelves.push(shelf as Shelf<unknown, unknown>)
    return shelf
  }

  /** A group that takes a partition up; it has to leave it. */
  enter(partition: number): Runner {
    const pair = this.#pairs.get(partition) ?? { runners: [], takenAtMs: 0 }
    const runner = new Runner(this, partition)
    pair.runners.push(runner)
    pair.takenAtMs = this.#clock.nowMs()
    this.#pairs.set(partition, pair)
    return runner
  }

  leave(runner: Runner): void {
    const pair = this.#pairs.get(runner.partition)
    const at = pair?.runners.indexOf(runner) ?? -1
    if (pair === undefined || at < 0) return
    pair.runners.splice(at, 1)
    if (pair.runners.length === 0) this.#pairs.delete(runner.partition)
    this.#clear(runner.partition, pair)
  }

  /** Whether another group is still to come to a record that one has just read. */
  isAwaited(partition: number, offset: number): boolean {
    const runners = this.#pairs.get(partition)?.runners
    if (runners === undefined || runners.length < 2) return false
    for (const { next } of runners) if (next > offset) return false
    return true
  }

  taken(partition: number): void {
    const pair = this.#pairs.get(partition)
    if (pair !== undefined) pair.takenAtMs = this.#clock.nowMs()
  }

  /** What {@link Runner.pace} does. */
  async pace(runner: Runner, newestMs: number, ended: AbortSignal): Promise<void> {
    const pair = this.#pairs.get(runner.partition)
    if (pair === undefined) return
    this.#clear(runner.partition, pair)
    const isAhead = (): boolean => pair.runners.some(({ next }) => next < runner.next)
    for (let waitedMs = 0; waitedMs < abreastTakenMs; waitedMs += abreastPauseMs) {
      if (ended.aborted || !isAhead() || !this.#shelves.some(shelf => shelf.isFilling)) return
      const nowMs = this.#clock.nowMs()
      if (nowMs - pair.takenAtMs >= abreastTakenMs || nowMs - newestMs >= abreastAgeMs) return
      await this.#clock.sleep(abreastPauseMs, ended)
    }
  }

  /** What is behind all of them nobody asks for any more. */
  #clear(partition: number, { runners }: Pair): void {
    const below =
      runners.length < 2
        ? Number.POSITIVE_INFINITY
        : runners.reduce((least, { next }) => Math.min(least, next), Number.POSITIVE_INFINITY)
    for (const shelf of this.#shelves) shelf.clear(partition, below)
  }
}

/** One group in one partition. */
export class Runner {
  readonly partition: number
  readonly #abreast: Abreast
  /** Every record before it has been asked for. */
  next = -1

  constructor(abreast: Abreast, partition: number) {
    this.#abreast = abreast
    this.partition = partition
  }

  /**
   * Before the next records are read: waits while this group is ahead, the shelves fill, and the other takes
   * from them; `abreastTakenMs` at most. `newestMs`: when the last record that was read was appended.
   */
  pace(next: number, newestMs: number, ended: AbortSignal): Promise<void> {
    this.next = Math.max(this.next, next)
    return this.#abreast.pace(this, newestMs, ended)
  }

  leave(): void {
    this.#abreast.leave(this)
  }
}

/** Values by partition and key. What finds no room, or what no other group waits for, is not held. */
export class Shelf<K, V> {
  readonly #abreast: Abreast
  readonly #weightMax: number
  readonly #partitions = new Map<number, Map<K, Held<V>>>()
  #weight = 0

  constructor(abreast: Abreast, weightMax: number) {
    this.#abreast = abreast
    this.#weightMax = weightMax
  }

  /** Of all values held. */
  get weight(): number {
    return this.#weight
  }

  /** Half of it is left for what is being read by then. */
  get isFilling(): boolean {
    return this.#weight > this.#weightMax / 2
  }

  take(partition: number, key: K): V | undefined {
    const values = this.#partitions.get(partition)
    const found = values?.get(key)
    if (values === undefined || found === undefined) return undefined
    values.delete(key)
    this.#weight -= found.weight
    this.#abreast.taken(partition)
    return found.value
  }

  put(partition: number, offset: number, key: K, value: V, weight: number): void {
    if (this.#weight + weight > this.#weightMax) return
    if (!this.#abreast.isAwaited(partition, offset)) return
    const values = this.#partitions.get(partition) ?? new Map<K, Held<V>>()
    if (values.has(key)) return
    this.#partitions.set(partition, values.set(key, { offset, value, weight }))
    this.#weight += weight
  }

  /** Says what `value` turned out to weigh, where it is still held; undefined forgets it. */
  reweigh(partition: number, key: K, value: V, weight: number | undefined): void {
    const values = this.#partitions.get(partition)
    const found = values?.get(key)
    if (values === undefined || found?.value !== value) return
    this.#weight -= found.weight
    if (weight === undefined || this.#weight + weight > this.#weightMax) values.delete(key)
    else {
      values.set(key, { ...found, weight })
      this.#weight += weight
    }
  }

  /** Forgets what was read of records before `below`. */
  clear(partition: number, below: number): void {
    const values = this.#partitions.get(partition)
    if (values === undefined) return
    for (const [key, { offset, weight }] of values) {
      if (offset >= below) return
      values.delete(key)
      this.#weight -= weight
    }
    this.#partitions.delete(partition)
  }
}
