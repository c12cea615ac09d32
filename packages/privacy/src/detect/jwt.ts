// Hot: texts that are mostly base64 pass here every few bytes.
import { alnum, beginsWord, classAt } from './byte-class.ts'
import type { Match } from './finding.ts'

const headerBytesMin = 8
const headerBytesMax = 4_000
const partBytesMax = 8_000
/** Behind the header: the claims, and what else JWS and JWE have. */
const partsMax = 4

const dash = 0x2d
const underscore = 0x5f
const dot = 0x2e

/**
 * Finds JSON Web Tokens. Where the letters end that a header is made of is remembered: many headers may seem to
 * begin in one run of them, and each would go through all of it.
 */
export class JwtFinder {
  #runFrom = 0
  #runEnd = 0

  /** To be called before other bytes are looked at. */
  reset(): void {
    this.#runFrom = 0
    this.#runEnd = 0
  }

  /** The token whose `eyJ` has its last letter at `at`. */
  at(bytes: Buffer, at: number, start: number, end: number): Match | undefined {
    const from = at - 2
    if (from < start || bytes[from] !== 0x65 || bytes[from + 1] !== 0x79) return undefined
    if (!beginsWord(bytes, from, start)) return undefined
    if (at < this.#runFrom || at >= this.#runEnd) {
      this.#runFrom = at
      this.#runEnd = runEndOf(bytes, at + 1, end)
    }
    const header = this.#runEnd - at - 1
    if (header < headerBytesMin || header > headerBytesMax) return undefined
    let to = this.#runEnd
    for (let parts = 0; parts < partsMax && to < end && bytes[to] === dot; parts++) {
      const stop = runEndOf(bytes, to + 1, Math.min(end, to + 1 + partBytesMax))
      if (parts === 0 && stop - to - 1 < headerBytesMin) return undefined
      to = stop
    }
    if (to === this.#runEnd) return undefined
    return { start: from, end: to, kind: 'secret', canonical: bytes.toString('latin1', from, to) }
  }
}

function runEndOf(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end) {
    const byte = bytes[at] as number
    if ((classAt(bytes, at) & alnum) === 0 && byte !== dash && byte !== underscore) break
    at++
  }
  return at
}
