// Hot file: one object a commit, none a record or span.
import type { Clock } from '@winnow/runtime'
import type { NewRecord } from './bus.ts'
import { toBlock, writeFrame } from './file-format.ts'
import type { LogState } from './log-recovery.ts'
import type { Ring } from './ring.ts'
import { runBytesMax } from './run-index.ts'
import type { TailIndex } from './tail-index.ts'

export interface Append {
  readonly partition: number
  readonly records: readonly NewRecord[]
  /** Of its frames. */
  readonly bytes: number
  readonly resolve: (first: number) => void
  readonly reject: (error: unknown) => void
  /** Offset of its first record and time of all, once the commit is composed. */
  first: number
  atMs: number
}

/** Frames in the ring, not yet in the file. */
export interface Commit {
  readonly appends: readonly Append[]
  /** Of the ring. */
  readonly place: number
  /** Whole blocks. */
  readonly length: number
  /** Five numbers a run: partition, first offset, position within the commit, bytes, ring place. */
  readonly runs: readonly number[]
  /** To be called once its records exist, or never will. */
  readonly settled: () => void
}

/** Puts appends into the ring as commits, one after the other, ahead of what is durable. */
export class LogComposer {
  readonly #state: LogState
  readonly #ring: Ring
  readonly #tail: TailIndex
  readonly #clock: Clock
  /** Where composing stands. */
  readonly #next: Float64Array
  readonly #nextAtMs: Float64Array

  constructor(state: LogState, ring: Ring, tail: TailIndex, clock: Clock) {
    this.#state = state
    this.#ring = ring
    this.#tail = tail
    this.#clock = clock
    this.#next = state.ends.slice()
    this.#nextAtMs = state.lastAtMs.slice()
  }

  /** What was composed and is not durable never will be: its offsets are given again. */
  beginAgain(): void {
    this.#next.set(this.#state.ends)
    this.#nextAtMs.set(this.#state.lastAtMs)
  }

  compose(appends: readonly Append[]): Commit {
    let bytes = 0
    for (let i = 0; i < appends.length; i++) bytes += (appends[i] as Append).bytes
    const length = toBlock(bytes)
    const place = this.#ring.reserve(length)
    this.#tail.setRingEnd(this.#ring.end)
    const base = this.#ring.indexOf(place)
    const { memory } = this.#ring
    const { seed } = this.#state
    this.#tail.stamping()
    const nowMs = this.#clock.nowMs()
    const runs: number[] = []
    let at = base
    let runStart = base
    let runFirst = 0
    for (let i = 0; i < appends.length; i++) {
      const append = appends[i] as Append
      const { partition, records } = append
      append.first = this.#next[partition] as number
      append.atMs = Math.max(nowMs, this.#nextAtMs[partition] as number)
      let offset = append.first
      if (appends[i - 1]?.partition !== partition) {
        runStart = at
        runFirst = offset
      }
      for (let r = 0; r < records.length; r++) {
        if (at - runStart >= runBytesMax) {
          runs.push(partition, runFirst, runStart - base, at - runStart, place + runStart - base)
          runStart = at
          runFirst = offset
        }
        const record = records[r] as NewRecord
        at = writeFrame(memory, at, record, partition, offset, append.atMs, at === base, seed)
        offset++
      }
      this.#next[partition] = offset
      this.#nextAtMs[partition] = append.atMs
      if (appends[i + 1]?.partition === partition) continue
      runs.push(partition, runFirst, runStart - base, at - runStart, place + runStart - base)
    }
    memory.fill(0, at, base + length)
    const settled = Promise.withResolvers<void>()
    this.#state.stamped = settled.promise
    return { appends, place, length, runs, settled: settled.resolve }
  }
}
