import { setImmediate as nextTurn } from 'node:timers/promises'

/** Two ranges with no more than this between them are one request: what lies there costs less than a second one. */
export const gapBytesMax = 32 * 1024

/** Ranges are joined up to this length; one that is longer by itself is read as it is. */
export const joinedBytesMax = 4 * 1024 * 1024

/** Of what was read so much is held for who asks again: a reader looks for rows first, then at their columns. */
export const heldBytesMax = 2 * 1024 * 1024

interface Range {
  readonly start: number
  readonly end: number
}

interface Waiting extends Range {
  readonly resolve: (bytes: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

/**
 * Reads of one object, as few as may be: those of one turn of the loop whose ranges lie near each other are one
 * request, and what is held is not read again. An object of its own for each reader: nothing is held for long.
 */
export class RangedReads {
  readonly #read: (start: number, end: number) => Promise<Uint8Array>
  readonly #held: (Range & { readonly bytes: Uint8Array })[] = []
  #heldBytes = 0
  #waiting: Waiting[] = []

  /** `read` resolves with exactly [start, end), or rejects. */
  constructor(read: (start: number, end: number) => Promise<Uint8Array>) {
    this.#read = read
  }

  async get(start: number, end: number): Promise<Uint8Array> {
    const held = this.#held.find(one => one.start <= start && end <= one.end)
    if (held !== undefined) return held.bytes.subarray(start - held.start, end - held.start)
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ start, end, resolve, reject })
      if (this.#waiting.length === 1) void this.#flush()
    })
  }

  async #flush(): Promise<void> {
    // Columns are asked for one by one, all of them before the loop turns.
    await nextTurn()
    const waiting = this.#waiting
    this.#waiting = []
    await Promise.all(joined(waiting).map(run => this.#readRun(run)))
  }

  async #readRun(run: Joined): Promise<void> {
    try {
      const bytes = await this.#read(run.start, run.end)
      if (this.#heldBytes + bytes.length <= heldBytesMax) {
        this.#held.push({ start: run.start, end: run.end, bytes })
        this.#heldBytes += bytes.length
      }
      for (const { start, end, resolve } of run.of) {
        resolve(bytes.subarray(start - run.start, end - run.start))
      }
    } catch (error) {
      for (const { reject } of run.of) reject(error)
    }
  }
}

interface Joined extends Range {
  readonly of: readonly Waiting[]
}

/** Pure. */
function joined(waiting: readonly Waiting[]): Joined[] {
  const runs: { start: number; end: number; of: Waiting[] }[] = []
  for (const one of waiting.toSorted((a, b) => a.start - b.start)) {
    const last = runs.at(-1)
    const end = Math.max(last?.end ?? 0, one.end)
    const isNear = last !== undefined && one.start - last.end <= gapBytesMax
    if (last !== undefined && isNear && (end === last.end || end - last.start <= joinedBytesMax)) {
      last.end = end
      last.of.push(one)
    } else {
      runs.push({ start: one.start, end: one.end, of: [one] })
    }
  }
  return runs
}
