// Hot: ids and attributes of every span.
import type { ByteValues } from './column-pages.ts'

/** Byte strings of one column as they are gathered, in Parquet's PLAIN encoding. */
export class ByteColumn {
  readonly #starts: Uint32Array
  #bytes = Buffer.allocUnsafeSlow(64 * 1024)
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
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, this.#end + bytes))
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
  }
}
