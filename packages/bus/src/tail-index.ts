// Hot file: a few numbers a run and a commit; no object or closure.

/** The tail of one topic's log as another thread of the process reads it: all memory is shared. */
export interface SharedTail {
  readonly topic: string
  readonly partitions: number
  /**
   * It is the log's own: where it begins and ends is where the log does, and who waits for more may wait
   * here. False: of a log that lies elsewhere some records that were met, to be looked up.
   */
  readonly isLog: boolean
  /** The ring's, see Ring: frames of file-format.ts lie in `size` bytes after `base`. */
  readonly memory: SharedArrayBuffer
  readonly base: number
  readonly size: number
  /** See TailIndex. */
  readonly index: SharedArrayBuffer
}

/**
 * Where the records of a log's tail lie in its ring, and what of them exists: told to other threads by
 * memory instead of messages. One thread writes it, see LogWriter; any may read it, see TailReader.
 *
 *   i32  0 version: odd while something below is being changed     1 moved: changes whenever readers have
 *          to look again, who waits is woken     2 commits stamped     3 of them durable, or given up
 *   f64  2 where the ring ends     3 … by partition: first retained offset, end, runs so far, then the
 *          last `tailRunsMax` runs, run n at n mod tailRunsMax: first offset, place in the ring, bytes
 *
 * A reader believes what it saw when the version was even and the same before and after. The ring's end
 * is moved before a byte is written over what is oldest: who has copied a stretch and then finds the end
 * less than the ring's size beyond it has copied what was there.
 */
export class TailIndex {
  readonly memory: SharedArrayBuffer
  readonly #ints: Int32Array
  readonly #floats: Float64Array

  constructor(firsts: Float64Array, ends: Float64Array) {
    this.memory = new SharedArrayBuffer(8 * (headFloats + firsts.length * partitionFloats))
    this.#ints = new Int32Array(this.memory, 0, headInts)
    this.#floats = new Float64Array(this.memory)
    this.setFirsts(firsts)
    for (let p = 0; p < ends.length; p++)
      this.#floats[partitionAt(p) + endFloat] = ends[p] as number
  }

  /** Before a commit gets its time: whoever asks from now on is not told "nothing more" without it. */
  stamping(): void {
    Atomics.add(this.#ints, stampedInt, 1)
  }

  /** Before anything is written there. */
  setRingEnd(place: number): void {
    this.#begin()
    this.#floats[ringEndFloat] = place
    this.#finish()
  }

  setFirsts(firsts: Float64Array): void {
    this.#begin()
    for (let p = 0; p < firsts.length; p++) {
      this.#floats[partitionAt(p) + firstFloat] = firsts[p] as number
    }
    this.#finish()
  }

  /** `runs`: five numbers each, as in a commit of LogWriter; `ends`: of every partition, after them. */
  publish(runs: readonly number[], ends: Float64Array): void {
    const floats = this.#floats
    this.#begin()
    for (let i = 0; i < runs.length; i += 5) {
      const partition = partitionAt(runs[i] as number)
      const count = floats[partition + countFloat] as number
      const run = partition + runsFloat + (count % tailRunsMax) * runFloats
      floats[run] = runs[i + 1] as number
      floats[run + 1] = runs[i + 4] as number
      floats[run + 2] = runs[i + 3] as number
      floats[partition + countFloat] = count + 1
    }
    for (let p = 0; p < ends.length; p++) floats[partitionAt(p) + endFloat] = ends[p] as number
    this.#finish()
  }

  /** One commit that was stamped is durable, or will never be. Wakes who waits. */
  settled(): void {
    Atomics.add(this.#ints, settledInt, 1)
    Atomics.add(this.#ints, movedInt, 1)
    Atomics.notify(this.#ints, movedInt)
  }

  #begin(): void {
    Atomics.add(this.#ints, versionInt, 1)
    fence()
  }

  #finish(): void {
    Atomics.add(this.#ints, versionInt, 1)
  }
}

/**
 * Runs of one partition that are told of: 24 KiB each. A ring of 16 MiB holds more only where commits
 * are smaller than 16 KiB, and what is left out is read by a message.
 */
export const tailRunsMax = 1024

export const versionInt = 0
export const movedInt = 1
export const stampedInt = 2
export const settledInt = 3
export const headInts = 4

export const ringEndFloat = 2
const headFloats = 3

export const firstFloat = 0
export const endFloat = 1
export const countFloat = 2
export const runsFloat = 3
export const runFloats = 3
const partitionFloats = runsFloat + tailRunsMax * runFloats

export function partitionAt(partition: number): number {
  return headFloats + partition * partitionFloats
}

const fenced = new Int32Array(new SharedArrayBuffer(4))

/**
 * Keeps what stands before it before what stands after it, as another thread sees it. A plain access may
 * pass one atomic access on some processors (ARM), but not an atomic store and then an atomic load.
 */
export function fence(): void {
  Atomics.store(fenced, 0, 0)
  Atomics.load(fenced, 0)
}
