// What a segment says of its own bytes, so that nothing is decoded that is not what was written: a
// damaged page can keep a decoder busy for ever.
import { crc32 } from 'node:zlib'
import { PipelineError } from '@winnow/runtime'
import type { Piece } from './column-chunk.ts'

/**
 * In the footer's key-value metadata, the last two:
 *
 *   winnow.pieces  base64 of (u32 length, u32 CRC32) each, little-endian: every page with its header,
 *                  every index and every filter, one after another from behind the first magic number
 *                  up to the footer
 *   winnow.crc     CRC32 of the footer, its own eight hex digits as zeros, and of the length behind it
 */
export const piecesKey = 'winnow.pieces'
export const footerCrcKey = 'winnow.crc'

const noCrc = '00000000'
const magicBytes = 4
/** The footer's length and the magic number behind it. */
export const trailerBytes = 8

export function pieceOf(bytes: Uint8Array): Piece {
  return { bytes: bytes.length, crc: crc32(bytes) }
}

/** For the end of the key-value metadata. */
export function checkValues(pieces: readonly Piece[]): { key: string; value: string }[] {
  const pairs = Buffer.alloc(8 * pieces.length)
  for (const [n, { bytes, crc }] of pieces.entries()) {
    pairs.writeUInt32LE(bytes, 8 * n)
    pairs.writeUInt32LE(crc, 8 * n + 4)
  }
  return [
    { key: piecesKey, value: pairs.toString('base64') },
    { key: footerCrcKey, value: noCrc },
  ]
}

/** Puts its CRC into a footer, which ends with its length. */
export function sealFooter(footer: Uint8Array): void {
  const bytes = Buffer.from(footer.buffer, footer.byteOffset, footer.length)
  const at = crcAt(bytes)
  if (at === undefined) throw new TypeError('a footer without a place for its CRC')
  bytes.write(hex(crc32(bytes)), at, 'latin1')
}

/** Throws DATA_CORRUPT, for a footer without a CRC as well. It ends with its length. */
export function checkFooter(key: string, footer: Uint8Array): void {
  const bytes = Buffer.from(footer)
  const at = crcAt(bytes)
  if (at === undefined) {
    throw damaged(key, `its footer has no ${footerCrcKey}, as every segment of this release has`)
  }
  const said = bytes.toString('latin1', at, at + noCrc.length)
  bytes.write(noCrc, at, 'latin1')
  if (said !== hex(crc32(bytes))) throw damaged(key, 'its footer is not the one that was written')
}

/** The pieces of one file, from byte 4 to its footer. */
export class FilePieces {
  readonly #key: string
  /** One more than pieces: where each begins, and where the last one ends. */
  readonly #starts: readonly number[]
  readonly #crcs: readonly number[]

  /**
   * Of the values of a footer that has been checked, which begins at `footerAt`, where that is known. Throws
   * DATA_CORRUPT where they are not there.
   */
  constructor(key: string, text: string | undefined, footerAt: number | undefined) {
    this.#key = key
    const pairs = Buffer.from(text ?? '', 'base64')
    const starts = [magicBytes]
    const crcs: number[] = []
    for (let at = 0; at + 8 <= pairs.length; at += 8) {
      starts.push((starts.at(-1) as number) + pairs.readUInt32LE(at))
      crcs.push(pairs.readUInt32LE(at + 4))
    }
    if (text === undefined || (footerAt !== undefined && starts.at(-1) !== footerAt)) {
      throw damaged(key, `its ${piecesKey} does not say what it holds`)
    }
    this.#starts = starts
    this.#crcs = crcs
  }

  /** Where the last one ends, and the footer begins. */
  get end(): number {
    return this.#starts.at(-1) as number
  }

  /** The whole pieces that [start, end) touches. */
  around(start: number, end: number): { readonly from: number; readonly to: number } {
    const starts = this.#starts
    const first = this.#at(start)
    let last = first
    while (last < this.#crcs.length && (starts[last] as number) < end) last++
    const to = starts[last] as number
    if (start < magicBytes || end > to) {
      throw damaged(this.#key, `bytes [${start}, ${end}) are none of its pages`)
    }
    return { from: starts[first] as number, to }
  }

  /** `bytes` are whole pieces from `from` on. Throws DATA_CORRUPT. */
  check(bytes: Uint8Array, from: number): void {
    let n = this.#at(from)
    for (let at = 0; at < bytes.length; n++) {
      const length = (this.#starts[n + 1] as number) - (this.#starts[n] as number)
      if (crc32(bytes.subarray(at, at + length)) !== this.#crcs[n]) {
        throw damaged(this.#key, `bytes [${from + at}, ${from + at + length}) are not as written`)
      }
      at += length
    }
  }

  /** Number of the piece that holds the byte at `offset`. */
  #at(offset: number): number {
    let low = 0
    let high = this.#crcs.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((this.#starts[middle] as number) <= offset) low = middle
      else high = middle
    }
    return low
  }
}

function damaged(key: string, why: string): PipelineError {
  return new PipelineError(
    'DATA_CORRUPT',
    `${key} is damaged: ${why}; restore the object from a copy or move it away`,
  )
}

/** Where the digits stand: behind the key, the value's field header and its length. */
function crcAt(footer: Buffer): number | undefined {
  const key = footer.lastIndexOf(footerCrcKey)
  const at = key + footerCrcKey.length + 2
  return key < 0 || at + noCrc.length > footer.length ? undefined : at
}

function hex(crc: number): string {
  return crc.toString(16).padStart(noCrc.length, '0')
}
