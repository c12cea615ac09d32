// Hot: every span of the pipeline is packed here once, and unpacked once.
import {
  blockFlag,
  endOfSpan,
  packedSpanBytesMax,
  packedSpanBytesMin,
  packedSpanFlag,
  type SlicePacker,
  wordAt,
} from '@winnow/model'
import { sharedTexts } from './text-table.ts'

/**
 * The facts of a slice as an open trace keeps them, nearly as its summary will have them:
 *
 *   u16 number of a shared text, 0: none │ u64 earliest start │ u64 latest end │ a span … │ own text
 *   a span: packed as the model has it │ 8 bytes parent where it has one
 *
 * A summary goes to other processes: the shared text is spelled out there, and parents stay behind.
 */
export const packedHeadBytes = 18
const parentBytes = 8
const spanBytesMax = packedSpanBytesMax + parentBytes

/** Writes the facts of one slice after another into memory of its own. */
export class FactsPacker {
  #bytes = Buffer.allocUnsafeSlow(8192)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  begin(spans: number, startHi: number, startLo: number): void {
    this.#reserve(packedHeadBytes + spans * spanBytesMax)
    this.#view.setUint32(2, startHi)
    this.#view.setUint32(6, startLo)
    this.#at = packedHeadBytes
  }

  addSpan(
    flags: number,
    id0: number,
    id1: number,
    parent0: number,
    parent1: number,
    opHash: number,
    startMs: number,
    input: number,
    output: number,
    cost: number,
  ): void {
    const view = this.#view
    const from = this.#at
    view.setUint32(from + 1, id0)
    view.setUint32(from + 5, id1)
    view.setUint32(from + 9, opHash, true)
    this.#at = from + packedSpanBytesMin
    let packed = flags
    if (startMs > 0) {
      packed |= packedSpanFlag.start
      this.#varint(startMs)
    }
    if (input > 0) {
      packed |= packedSpanFlag.input
      this.#varint(input)
    }
    if (output > 0) {
      packed |= packedSpanFlag.output
      this.#varint(output)
    }
    if (cost > 0) {
      packed |= packedSpanFlag.cost
      view.setFloat64(this.#at, cost, true)
      this.#at += 8
    }
    if ((flags & blockFlag.root) === 0) {
      view.setUint32(this.#at, parent0)
      view.setUint32(this.#at + 4, parent1)
      this.#at += parentBytes
    }
    this.#bytes[from] = packed
  }

  /** A view of the facts: valid until the next `begin`. */
  finish(endHi: number, endLo: number, shared: number, text: string): Uint8Array {
    this.#view.setUint16(0, shared, true)
    this.#view.setUint32(10, endHi)
    this.#view.setUint32(14, endLo)
    // No character of a string takes more than three bytes.
    if (text !== '') {
      this.#reserve(this.#at + 3 * text.length)
      this.#write(text)
    }
    return this.#bytes.subarray(0, this.#at)
  }

  /** Most texts are short and ASCII: a call out of JavaScript costs more than they do. */
  #write(text: string): void {
    const bytes = this.#bytes
    const from = this.#at
    let at = 0
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code > 0x7f) break
      bytes[from + at] = code
    }
    this.#at = from + at
    if (at < text.length) this.#at += bytes.write(text.slice(at), this.#at, 'utf8')
  }

  /** Of 32 bits. */
  #varint(value: number): void {
    let rest = value
    while (rest > 127) {
      this.#bytes[this.#at++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.#bytes[this.#at++] = rest
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes.length) return
    const wider = Buffer.allocUnsafeSlow(2 * bytes)
    this.#bytes.copy(wider)
    this.#bytes = wider
    this.#view = new DataView(wider.buffer)
  }
}

/** Words a span in what `ids` writes: id high, low, parent high, low (0, 0: none), 1 for an entry span. */
export const spanIdWords = 5

/** Reads packed facts. */
export class FactsUnpacker {
  /** The shared text of the facts at `from`; empty where all is their own. */
  shared(bytes: Buffer, from: number): Uint8Array {
    return sharedTexts.bytesOf(bytes.readUInt16LE(from))
  }

  /** Hands the times, `spans` spans and the own text of the facts at [from, to) to a slice that was begun. */
  repack(bytes: Buffer, from: number, to: number, spans: number, out: SlicePacker): void {
    out.add(bytes, from + 2, from + packedHeadBytes)
    let at = from + packedHeadBytes
    for (let span = 0; span < spans; span++) {
      const isRoot = ((bytes[at] as number) & blockFlag.root) > 0
      at = out.addPacked(bytes, at)
      if (!isRoot) at += parentBytes
    }
    out.add(bytes, at, to)
  }

  /** Writes the ids of `spans` spans at `from` into `words`, from `word` on, {@link spanIdWords} each. */
  ids(bytes: Buffer, from: number, spans: number, words: Uint32Array, word: number): void {
    let at = from + packedHeadBytes
    const end = word + spans * spanIdWords
    for (let to = word; to < end; to += spanIdWords) {
      const flags = bytes[at] as number
      words[to] = wordAt(bytes, at + 1)
      words[to + 1] = wordAt(bytes, at + 5)
      at = endOfSpan(bytes, at)
      const isRoot = (flags & blockFlag.root) > 0
      words[to + 2] = isRoot ? 0 : wordAt(bytes, at)
      words[to + 3] = isRoot ? 0 : wordAt(bytes, at + 4)
      words[to + 4] = (flags & blockFlag.entry) > 0 ? 1 : 0
      if (!isRoot) at += parentBytes
    }
  }
}
