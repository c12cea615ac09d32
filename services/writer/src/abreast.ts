// Hot: every decision passes here twice, dropped ones too.
import type { StageClock } from '@winnow/runtime'
import { abreastPauseMs, type PaceLimits } from './config.ts'

/** What one group has made of a record, until the other has come to it. */
interface Held<V> {
  readonly offset: number
  readonly value: V
  readonly weight: number
}

/** The groups of one partition that run in this writer. */
interface Pair {
  readonly runners: Map<string, Runner>
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

  /**
   * A group that takes a partition up; it has to leave it. `next`: where it goes on, -1 where that is not
   * known yet. What the same group left running here, as the owner before, counts no more.
   */
  enter(partition: number, group: string, next = -1): Runner {
    const pair = this.#pairs.get(partition) ?? { runners: new Map(), takenAtMs: 0 }
    const runner = new Runner(this, partition, group, next)
    pair.runners.set(group, runner)
    pair.takenAtMs = this.#clock.nowMs()
    this.#pairs.set(partition, pair)
    return runner
  }

  leave(runner: Runner): void {
    const { partition, group } = runner
    const pair = this.#pairs.get(partition)
    if (pair?.runners.get(group) !== runner) return
    pair.runners.delete(group)
    if (pair.runners.size === 0) this.#pairs.delete(partition)
    this.#clear(partition, pair)
  }

  /** Whether another group is still to come to a record that one has just read. */
  isAwaited(partition: number, offset: number): boolean {
    const runners = this.#pairs.get(partition)?.runners
    if (runners === undefined || runners.size < 2) return false
    for (const { next } of runners.values()) if (next > offset) return false
    return true
  }

  taken(partition: number): void {
    const pair = this.#pairs.get(partition)
    if (pair !== undefined) pair.takenAtMs = this.#clock.nowMs()
  }

  /** What {@link Runner.pace} does. */
  async pace(runner: Runner, newestMs: number, limits: PaceLimits, ended: AbortSignal) {
    const pair = this.#pairs.get(runner.partition)
    if (pair === undefined || ended.aborted) return false
    this.#clear(runner.partition, pair)
    if (!this.#shelves.some(shelf => shelf.isFilling)) return false
    if (![...pair.runners.values()].some(({ next }) => next < runner.next)) return false
    const nowMs = this.#clock.nowMs()
    if (nowMs - pair.takenAtMs >= limits.takenMs || nowMs - newestMs >= limits.ageMs) return false
    await this.#clock.sleep(abreastPauseMs, ended)
    return true
  }

  /** What is behind all of them nobody asks for any more. */
  #clear(partition: number, { runners }: Pair): void {
    let below = Number.POSITIVE_INFINITY
    if (runners.size > 1) for (const { next } of runners.values()) below = Math.min(below, next)
    for (const shelf of this.#shelves) shelf.clear(partition, below)
  }
}

/** One group in one partition. */
export class Runner {
  readonly partition: number
  readonly group: string
  readonly #abreast: Abreast
  #next: number

  constructor(abreast: Abreast, partition: number, group: string, next: number) {
    this.#abreast = abreast
    this.partition = partition
    this.group = group
    this.#next = next
  }

  /** Every record before it has been asked for. */
  get next(): number {
    return this.#next
  }

  /**
   * Before the next records are read, until it says false: a moment's pause, and true, while this group is
   * ahead, a shelf fills, and the other takes from it. `newestMs`: when the last record that was read was
   * appended.
   */
  pace(next: number, newestMs: number, limits: PaceLimits, ended: AbortSignal): Promise<boolean> {
    this.#next = next
    return this.#abreast.pace(this, newestMs, limits, ended)
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

  /** The other half is for what is under way. */
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
