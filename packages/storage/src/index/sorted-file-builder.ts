// Hot: a row of every trace that the sampler knows goes through here every five minutes.

import { crc32 } from 'node:zlib'
import { writtenVersion } from '@winnow/model'
import { type Pause, sortRows } from './sort-rows.ts'
import {
  blockRows,
  fenceBytes,
  headerBytes,
  magic,
  rowKeyBytes,
  type SortedFooter,
  type SortedKind,
  sortedKinds,
  trailerBytes,
} from './sorted-file.ts'

/** Of rows with the same trace id and tenant the one with the greatest next bytes stays: so many. */
const rankBytes: Readonly<Record<SortedKind, number>> = { snapshot: 8, ids: 12 }

/** Room behind the rows for tenants and what the kind says of itself; more is a copy. */
const spareBytes = 256 * 1024

/** Rows that are looked at between two pauses where that costs little. */
const chunkRows = blockRows * 4

/**
 * Gathers rows in any order and gives the whole file. The rows are sorted where they lie, in the bytes
 * of the file itself: it takes the memory of one file, and no longer a turn than a few milliseconds.
 */
export class SortedFileBuilder {
  readonly #kind: SortedKind
  readonly #rowBytes: number
  readonly #tenants = new Map<string, number>()
  #bytes: Buffer
  #view: DataView
  #rows = 0

  /** `rowsExpected` avoids copies; more may come. */
  constructor(kind: SortedKind, rowBytes: number, rowsExpected: number) {
    this.#kind = kind
    this.#rowBytes = rowBytes
    this.#bytes = this.#allocate(Math.max(1, rowsExpected))
    this.#view = viewOf(this.#bytes)
  }

  get rows(): number {
    return this.#rows
  }

  /** Where the row's own part is to be written, behind its key. Valid until the next call of `add`. */
  get view(): DataView {
    return this.#view
  }

  /** Begins a row; the offset in `view` of what follows its key. `id` is four words, the greatest first. */
  add(id: ArrayLike<number>, tenant: string): number {
    let at = headerBytes + this.#rows * this.#rowBytes
    if (at + this.#rowBytes > this.#bytes.length) this.#grow()
    this.#rows++
    for (let word = 0; word < 4; word++, at += 4) {
      this.#view.setUint32(at, id[word] as number)
    }
    this.#view.setUint32(at, this.#numberOf(tenant))
    return at + 4
  }

  /** The file. Nothing can be added afterwards. */
  async finish(meta: unknown, extra: Uint8Array, pause: Pause): Promise<Uint8Array> {
    const rowsEnd = (): number => headerBytes + this.#rows * this.#rowBytes
    const sortBytes = rowKeyBytes + rankBytes[this.#kind]
    await sortRows(this.#bytes.subarray(headerBytes, rowsEnd()), this.#rowBytes, sortBytes, pause)
    await this.#leaveTheLastOfEach(pause)
    magic.copy(this.#bytes)
    this.#bytes.writeUInt16BE(writtenVersion('sortedFile'), 8)
    this.#bytes.writeUInt16BE(sortedKinds[this.#kind], 10)
    this.#bytes.writeUInt32BE(this.#rowBytes, 12)
    const footer: SortedFooter = {
      rows: this.#rows,
      rowBytes: this.#rowBytes,
      blockRows,
      tenants: [...this.#tenants.keys()],
      extra: { bytes: extra.length, crc: crc32(extra) },
      meta,
    }
    const end = this.#footer(JSON.stringify(footer), await this.#fences(pause))
    const length = rowsEnd() + extra.length + end.length
    if (length > this.#bytes.length) await this.#copyTo(length, pause)
    this.#bytes.set(extra, rowsEnd())
    this.#bytes.set(end, rowsEnd() + extra.length)
    return new Uint8Array(this.#bytes.buffer, 0, length)
  }

  #numberOf(tenant: string): number {
    const known = this.#tenants.get(tenant)
    if (known !== undefined) return known
    const number = this.#tenants.size
    this.#tenants.set(tenant, number)
    return number
  }

  async #leaveTheLastOfEach(pause: Pause): Promise<void> {
    const bytes = this.#bytes
    const rowBytes = this.#rowBytes
    let kept = 0
    for (let row = 0; row < this.#rows; row++) {
      const at = headerBytes + row * rowBytes
      const next = at + rowBytes
      const isRepeated =
        row + 1 < this.#rows &&
        bytes.compare(bytes, next, next + rowKeyBytes, at, at + rowKeyBytes) === 0
      if (!isRepeated) {
        if (kept !== row) bytes.copyWithin(headerBytes + kept * rowBytes, at, next)
        kept++
      }
      if (row % chunkRows === chunkRows - 1) await pause()
    }
    this.#rows = kept
  }

  async #fences(pause: Pause): Promise<Buffer> {
    const fences = Buffer.alloc(Math.ceil(this.#rows / blockRows) * fenceBytes)
    for (let block = 0; block * fenceBytes < fences.length; block++) {
      const first = headerBytes + block * blockRows * this.#rowBytes
      const rows = Math.min(blockRows, this.#rows - block * blockRows)
      this.#bytes.copy(fences, block * fenceBytes, first, first + rowKeyBytes)
      const crc = crc32(this.#bytes.subarray(first, first + rows * this.#rowBytes))
      fences.writeUInt32BE(crc, block * fenceBytes + rowKeyBytes)
      if (block % 8 === 7) await pause()
    }
    return fences
  }

  #footer(json: string, fences: Buffer): Buffer {
    const jsonBytes = Buffer.from(json)
    const trailer = Buffer.alloc(trailerBytes)
    trailer.writeUInt32BE(jsonBytes.length + fences.length, 0)
    trailer.writeUInt32BE(jsonBytes.length, 4)
    trailer.writeUInt16BE(writtenVersion('sortedFile'), 8)
    trailer.writeUInt16BE(sortedKinds[this.#kind], 10)
    const checked = Buffer.concat([jsonBytes, fences, trailer.subarray(0, 12)])
    trailer.writeUInt32BE(crc32(checked), 12)
    magic.copy(trailer, 16)
    return Buffer.concat([checked, trailer.subarray(12)])
  }

  #allocate(rows: number): Buffer {
    const fences = Math.ceil(rows / blockRows) * fenceBytes
    // Not zeroed: zeroing some hundred megabytes is a long turn.
    return Buffer.allocUnsafeSlow(headerBytes + rows * this.#rowBytes + fences + spareBytes)
  }

  #grow(): void {
    const larger = this.#allocate(this.#rows * 2)
    this.#bytes.copy(larger)
    this.#bytes = larger
    this.#view = viewOf(larger)
  }

  async #copyTo(length: number, pause: Pause): Promise<void> {
    const larger = Buffer.allocUnsafeSlow(length)
    const step = 4 * 1024 * 1024
    for (let at = 0; at < this.#bytes.length; at += step) {
      this.#bytes.copy(larger, at, at, Math.min(this.#bytes.length, at + step))
      await pause()
    }
    this.#bytes = larger
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
