// Hot: ids and attributes of every span.
import type { ByteValues } from './column-pages.ts'

/** Memory of columns that are encoded, to be used again: so many buffers, up to so many bytes each. */
const freeMax = 16
const freeBytesMax = 2 * 1024 * 1024

const bytesMin = 64 * 1024
const free: Buffer[] = []
const none = Buffer.alloc(0)

/** The first that is large enough, else a new one. */
function memory(bytes: number): Buffer {
  for (let n = 0; n < free.length; n++) {
    const buffer = free[n] as Buffer
    if (buffer.length < bytes) continue
    free.splice(n, 1)
    return buffer
  }
  return Buffer.allocUnsafeSlow(bytes)
}

function giveBack(buffer: Buffer): void {
  if (free.length < freeMax && buffer.length <= freeBytesMax) free.push(buffer)
}

/** Byte strings of one column as they are gathered, in Parquet's PLAIN encoding. */
export class ByteColumn {
  readonly #starts: Uint32Array
  #bytes = memory(bytesMin)
  #rows = 0
  #end = 0

  /** For at most so many rows. */
  constructor(rowsMax: number) {
    this.#starts = new Uint32Array(rowsMax + 1)
  }

  add(from: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.#room(4 + length)
    const at = this.#bytes.writeUInt32LE(length, this.#end)
    this.#bytes.set(start === 0 && end === from.length ? from : from.subarray(start, end), at)
    this.#next(at + length)
  }

  addText(text: string): void {
    this.#room(4 + 3 * text.length)
    const length = this.#bytes.write(text, this.#end + 4, 'utf8')
    this.#bytes.writeUInt32LE(length, this.#end)
    this.#next(this.#end + 4 + length)
  }

  /** Of some bytes between two positions: for ids, which are too short for a copy by the system. */
  addShort(from: Uint8Array, start: number, length: number): void {
    this.#room(4 + length)
    const bytes = this.#bytes
    let at = bytes.writeUInt32LE(length, this.#end)
    for (let n = 0; n < length; n++) bytes[at++] = from[start + n] as number
    this.#next(at)
  }

  addNull(): void {
    this.#next(this.#end)
  }

  /** Nothing of it is asked for any more: its memory is another column's. */
  release(): void {
    giveBack(this.#bytes)
    this.#bytes = none
  }

  get values(): ByteValues {
    return {
      kind: 'bytes',
      bytes: this.#bytes.subarray(0, this.#end),
      starts: this.#starts.subarray(0, this.#rows + 1),
    }
  }

  #next(end: number): void {
    this.#end = end
    this.#starts[++this.#rows] = end
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return
    const larger = memory(Math.max(2 * this.#bytes.length, this.#end + bytes))
    this.#bytes.copy(larger, 0, 0, this.#end)
    giveBack(this.#bytes)
    this.#bytes = larger
  }
}
