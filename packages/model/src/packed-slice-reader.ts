// Hot: every slice of every summary and decision passes here, once a reader.
import { endOfSpans, wordAt } from './packed-spans.ts'

/**
 * A slice as `evidence` and `decisions` carry it, a third of its JSON: in base64, one text a slice.
 *
 *   varints: partition │ offset │ start │ length │ spans │ appended at (ms)
 *   varint: bytes of shared text │ shared text
 *   u64 earliest start │ u64 latest end                  Unix nanoseconds, big-endian
 *   a span …                                             see packed-spans.ts
 *   own text                                             what is left
 *
 * The texts are the members of SliceFacts' JSON but for its first three, each with its comma in front,
 * in tokens (see fact-tokens.ts): lists are always opened by theirs. The shared one says what many slices say - services, experiment,
 * variant -, so that readers parse it once; what it leaves out, the own one may say.
 */
export class PackedSliceReader {
  partition = 0
  offset = 0
  start = 0
  length = 0
  spanCount = 0
  appendedAtMs = 0
  /** Where the slice's parts lie in `bytes`: its times right before its spans. */
  sharedFrom = 0
  sharedTo = 0
  spansFrom = 0
  ownFrom = 0
  ownTo = 0
  /** The base64 text of the slice within the text it was read from. */
  textFrom = 0
  textTo = 0
  /** What `next` came to is no slice. */
  isBroken = false
  bytes: Buffer = Buffer.allocUnsafeSlow(4096)
  #text = ''
  #end = 0
  #at = 0

  /**
   * Goes through the text between the brackets of `slices`. Slices lie in `bytes` one behind the other,
   * where they are given; else in memory of its own, each valid until the next.
   */
  begin(text: string, bytes?: Buffer): this {
    this.#text = text
    this.#end = 0
    this.textTo = -1
    this.isBroken = false
    if (bytes !== undefined) this.bytes = bytes
    else if (this.bytes.length < packedBytes(text)) {
      this.bytes = Buffer.allocUnsafeSlow(2 * packedBytes(text))
    }
    return this
  }

  /** Whether there was one more. Never throws, whatever the text is: see `isBroken`. */
  next(): boolean {
    const text = this.#text
    const quote = this.textTo + 1
    if (text.length === 0 || quote === text.length) return false
    const open = this.textTo < 0 ? 0 : quote + 1
    if ((quote > 0 && text.charCodeAt(quote) !== comma) || text.charCodeAt(open) !== quotes) {
      return this.#broken()
    }
    this.textFrom = open + 1
    this.textTo = text.indexOf('"', open + 1)
    const chars = this.textTo - this.textFrom
    if (chars <= 0 || chars % 4 !== 0) return this.#broken()
    const from = this.#end
    this.#end += this.bytes.write(text.slice(this.textFrom, this.textTo), from, 'base64')
    let whole = (chars / 4) * 3
    if (text.charCodeAt(this.textTo - 1) === padding) whole--
    if (text.charCodeAt(this.textTo - 2) === padding) whole--
    // What is no base64 is passed over, and is missing then.
    if (this.#end - from !== whole || !this.#read(from, this.#end)) return this.#broken()
    return true
  }

  #broken(): boolean {
    this.isBroken = true
    this.#text = ''
    return false
  }

  /** Whether the bytes [from, to) are a packed slice. */
  #read(from: number, to: number): boolean {
    this.#at = from
    this.partition = this.#varint(to)
    this.offset = this.#varint(to)
    this.start = this.#varint(to)
    this.length = this.#varint(to)
    this.spanCount = this.#varint(to)
    this.appendedAtMs = this.#varint(to)
    const shared = this.#varint(to)
    this.sharedFrom = this.#at
    this.sharedTo = this.#at + shared
    this.spansFrom = this.sharedTo + timesBytes
    this.ownTo = to
    // After a varint that is none, `#at` lies far behind the end.
    if (this.spansFrom > to) return false
    this.ownFrom = endOfSpans(this.bytes, this.spansFrom, to, this.spanCount)
    return this.ownFrom >= 0
  }

  /** Of 53 bits: shifts would cut it to 32. */
  #varint(to: number): number {
    let value = 0
    let unit = 1
    const last = Math.min(this.#at + varintBytesMax, to)
    while (this.#at < last) {
      const byte = this.bytes[this.#at++] as number
      value += (byte & 127) * unit
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      unit *= 128
    }
    this.#at = Number.MAX_SAFE_INTEGER
    return 0
  }
}

/** How many bytes the slices of a text take at most. */
export function packedBytes(text: string): number {
  return Math.ceil(text.length / 4) * 3
}

/** The two times before the spans. */
export const timesBytes = 16

export const timeWord = {
  startHigh: -16,
  startLow: -12,
  endHigh: -8,
  endLow: -4,
} as const

/** One word of a slice's times, by where its spans begin. */
export function timeWordAt(bytes: Uint8Array, spansFrom: number, word: number): number {
  return wordAt(bytes, spansFrom + word)
}

const varintBytesMax = 8
const quotes = 0x22
const comma = 0x2c
const padding = 0x3d
