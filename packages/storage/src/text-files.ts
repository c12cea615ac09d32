// Hot: the bytes of every kept slice are written here.
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  writeSync,
  writevSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { PipelineError } from '@winnow/runtime'
import { type HotPeriod, periodName } from './hot-period.ts'
import type { HotBody } from './hot-store.ts'
import { fileNumber } from './sqlite-file.ts'
import type { HotPart, TextPlace } from './sqlite-traces.ts'

/** Files that one store writes to at once: an hour each, and replays of older ones. */
export const textFilesOpenMax = 8

interface OpenFile {
  readonly name: string
  readonly fd: number
  /** Where the next bytes go; nobody else writes to this file. */
  end: number
  /** Handed over and not written yet. */
  waiting: Uint8Array[]
}

/**
 * Bytes of kept slices as plain files, `text-2026-11-21T07-<random>.bin`: each store that writes has its
 * own for every hour, so that none waits for another, and an hour is removed as its files are. A file
 * says nothing of itself: rows of the traces name places in it, once they are durable.
 */
export class TextFiles {
  readonly #folder: string
  readonly #open = new Map<number, OpenFile>()

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Where the bodies will lie, one after another, once `sync` has returned. */
  place(hour: HotPeriod, bodies: readonly HotBody[]): TextPlace | undefined {
    if (bodies.length === 0) return undefined
    const file = this.#file(hour)
    const at = file.end
    let crc = 0
    for (const { bytes } of bodies) {
      crc = crc32(bytes, crc)
      file.waiting.push(bytes)
      file.end += bytes.length
    }
    return { file: file.name, at, crc }
  }

  /** All that was placed is durable. After a failure nothing of it is, and other files are begun. */
  sync(): void {
    try {
      for (const file of this.#open.values()) {
        if (file.waiting.length === 0) continue
        writeAll(file.fd, file.waiting)
        file.waiting = []
        fdatasyncSync(file.fd)
      }
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Nothing that was placed since the last `sync` is written, and no place of it may be named. */
  drop(): void {
    if ([...this.#open.values()].some(({ waiting }) => waiting.length > 0)) this.close()
  }

  /** The bodies of a part; undefined once their file has expired. Throws DATA_CORRUPT for other bytes. */
  read({ text, refs }: HotPart): HotBody[] | undefined {
    if (text === undefined) return []
    const length = refs.reduce((sum, [, bytes]) => sum + bytes, 0)
    const all = Buffer.allocUnsafeSlow(length)
    let fd: number
    try {
      fd = openSync(join(this.#folder, text.file), 'r')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    try {
      let read = 0
      while (read < length) {
        const more = readSync(fd, all, read, length - read, text.at + read)
        if (more === 0) break
        read += more
      }
      if (read < length || crc32(all) !== text.crc) {
        throw new PipelineError(
          'DATA_CORRUPT',
          `${text.file} has other bytes at ${text.at} than were written; move it away: what it held stays in warm, without its text`,
        )
      }
    } finally {
      closeSync(fd)
    }
    let start = 0
    return refs.map(([ref, bytes]) => {
      start += bytes
      return { ref, bytes: new Uint8Array(all.subarray(start - bytes, start)) }
    })
  }

  /** Ends the file of an hour that is about to be removed. */
  forget(hour: HotPeriod): void {
    const file = this.#open.get(hour.startMs)
    if (file !== undefined) closeSync(file.fd)
    this.#open.delete(hour.startMs)
  }

  close(): void {
    for (const { fd } of this.#open.values()) closeSync(fd)
    this.#open.clear()
  }

  #file(hour: HotPeriod): OpenFile {
    const known = this.#open.get(hour.startMs)
    if (known !== undefined) {
      // Once a batch: a file that was removed under us takes nothing more.
      if (known.waiting.length > 0 || this.#isThere(known)) return known
      this.forget(hour)
    }
    if (this.#open.size >= textFilesOpenMax) {
      this.sync()
      this.close()
    }
    const name = `${periodName(hour)}-${randomBytes(6).toString('hex')}.bin`
    const fd = openSync(join(this.#folder, name), 'wx')
    syncFolder(this.#folder)
    const file: OpenFile = { name, fd, end: 0, waiting: [] }
    this.#open.set(hour.startMs, file)
    return file
  }

  #isThere({ name, fd }: OpenFile): boolean {
    return fileNumber(join(this.#folder, name)) === fstatSync(fd).ino
  }
}

/** As many buffers as the system takes at once. */
const iovMax = 1_024

function writeAll(fd: number, bytes: readonly Uint8Array[]): void {
  for (let from = 0; from < bytes.length; ) {
    let written = writevSync(fd, bytes.slice(from, from + iovMax))
    while (from < bytes.length && written >= (bytes[from] as Uint8Array).length) {
      written -= (bytes[from++] as Uint8Array).length
    }
    // What the system left of one is written by itself.
    if (written === 0) continue
    for (let rest = (bytes[from] as Uint8Array).subarray(written); written > 0; ) {
      const more = writeSync(fd, rest)
      rest = rest.subarray(more)
      if (rest.length > 0) continue
      from++
      written = 0
    }
  }
}

/** The new file's name survives a power cut. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
