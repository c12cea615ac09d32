import { randomUUID } from 'node:crypto'
import { type Dirent, renameSync, statSync } from 'node:fs'
import { link, open, readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeDurableFolder, PipelineError, syncFolder } from '@winnow/runtime'
import { blobRange, checkBlobKey, isBlobKey } from './blob-key.ts'
import type { BlobChange, BlobInfo, BlobStore } from './blob-store.ts'
import { storeError, systemCode } from './durable-file.ts'

/** How often `create` starts again when another process swept its half-written file or its folder. */
const createTriesMax = 5

/** Where objects grow until they are whole; no key can name it. */
const halfFolder = '.half'

/**
 * Objects as files: key `warm/date=2026-11-21/p=0003/x.parquet` is that path below the folder, so
 * any tool that reads files reads the store. An object is written and synced under `.half`, then
 * linked to its name, which fails where the name exists: the exclusive create that needs no lock.
 */
export class FileBlobStore implements BlobStore {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Makes the folder where it is missing and removes what a crash left half-written. */
  static async open(folder: string): Promise<FileBlobStore> {
    const half = join(folder, halfFolder)
    try {
      await makeDurableFolder(half)
      for (const name of await readdir(half)) await unlink(join(half, name)).catch(unlessMissing)
    } catch (error) {
      throw storeError(`opening the store in ${folder}`, error)
    }
    return new FileBlobStore(folder)
  }

  /** For whoever only reads: makes no folder, and sweeps nothing that a writer has in hand. */
  static existing(folder: string): FileBlobStore {
    return new FileBlobStore(folder)
  }

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    checkBlobKey(key)
    const path = join(this.#folder, key)
    for (let tries = 1; ; tries++) {
      try {
        return (await this.#exists(key, path)) ? false : await this.#createOnce(key, path, bytes)
      } catch (error) {
        // Another process opened the store and swept `.half`, or removed the folder as empty.
        if (systemCode(error) !== 'ENOENT' || tries === createTriesMax) {
          throw storeError(`creating ${key}`, error)
        }
      }
    }
  }

  async read(
    key: string,
    start = 0,
    length = Number.POSITIVE_INFINITY,
  ): Promise<Uint8Array | undefined> {
    checkBlobKey(key)
    try {
      const file = await open(join(this.#folder, key), 'r')
      try {
        const info = await file.stat()
        const range = blobRange(info.size, start, length)
        if (!info.isFile()) return undefined
        // Not from Node's pool: whoever hands the bytes to a worker hands over these alone.
        const bytes = new Uint8Array(range.end - range.start)
        let filled = 0
        while (filled < bytes.length) {
          const { bytesRead } = await file.read(bytes, filled, undefined, range.start + filled)
          if (bytesRead === 0) {
            throw new PipelineError('DATA_CORRUPT', `${key} became shorter as it was read`)
          }
          filled += bytesRead
        }
        return bytes
      } finally {
        await file.close()
      }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw storeError(`reading ${key}`, error)
    }
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    checkBlobKey(key)
    return await this.#info(key)
  }

  async *list(prefix: string): AsyncIterable<BlobInfo> {
    yield* this.#walk('', prefix)
  }

  async rewrite(key: string, change: BlobChange): Promise<boolean> {
    checkBlobKey(key)
    const path = join(this.#folder, key)
    for (;;) {
      try {
        const before = fileVersion(path)
        const old = before === undefined ? undefined : await this.read(key)
        const bytes = old && (await change(old))
        if (bytes === undefined) return false
        const half = await this.#writeHalf(bytes)
        try {
          // Nothing of this process comes between the look and the rename.
          if (fileVersion(path) !== before) continue
          renameSync(half, path)
        } finally {
          await unlink(half).catch(unlessMissing)
        }
        await syncFolder(dirname(path))
        return true
      } catch (error) {
        throw storeError(`rewriting ${key}`, error)
      }
    }
  }

  async delete(key: string): Promise<void> {
    checkBlobKey(key)
    const path = join(this.#folder, key)
    try {
      await unlink(path)
      await syncFolder(dirname(path))
      await this.#removeEmpty(dirname(key))
    } catch (error) {
      // A key that names a folder is no object. EPERM says so on some systems, and on all that it is forbidden.
      if (isMissing(error) || systemCode(error) === 'EISDIR') return
      const found = await stat(path).catch(() => undefined)
      if (systemCode(error) === 'EPERM' && found?.isDirectory()) return
      throw storeError(`deleting ${key}`, error)
    }
  }

  async close(): Promise<void> {}

  async #createOnce(key: string, path: string, bytes: Uint8Array): Promise<boolean> {
    try {
      await makeDurableFolder(dirname(path))
    } catch (error) {
      if (systemCode(error) === 'ENOTDIR' || systemCode(error) === 'EEXIST') throw folderError(key)
      throw error
    }
    const half = await this.#writeHalf(bytes)
    try {
      await link(half, path)
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || !(await this.#exists(key, path))) throw error
      return false
    } finally {
      await unlink(half).catch(unlessMissing)
    }
    await syncFolder(dirname(path))
    return true
  }

  /** The path of a file that has the bytes, durably, under a name that no key has. */
  async #writeHalf(bytes: Uint8Array): Promise<string> {
    const half = join(this.#folder, halfFolder, randomUUID())
    try {
      const file = await open(half, 'wx')
      try {
        await file.writeFile(bytes)
        await file.sync()
      } finally {
        await file.close()
      }
      return half
    } catch (error) {
      await unlink(half).catch(unlessMissing)
      throw error
    }
  }

  /** An object that exists is made durable first: its creator may be about to lose power. */
  async #exists(key: string, path: string): Promise<boolean> {
    const info = await stat(path).catch(unlessMissing)
    if (info === undefined) return false
    if (info.isDirectory()) throw folderError(key)
    await syncFolder(dirname(path))
    return true
  }

  async #info(key: string): Promise<BlobInfo | undefined> {
    try {
      const info = await stat(join(this.#folder, key))
      return info.isFile()
        ? { key, bytes: info.size, modifiedAtMs: Math.floor(info.mtimeMs) }
        : undefined
    } catch (error) {
      if (isMissing(error)) return undefined
      throw storeError(`looking for ${key}`, error)
    }
  }

  /** Depth first. A folder sorts as its name and a slash, which is how its keys sort. */
  async *#walk(folder: string, prefix: string): AsyncIterable<BlobInfo> {
    const path = (entry: Dirent): string => folder + entry.name + (entry.isDirectory() ? '/' : '')
    const entries = (await this.#entries(folder)).map(entry => ({ entry, key: path(entry) }))
    for (const { entry, key } of entries.sort((a, b) => (a.key < b.key ? -1 : 1))) {
      if (entry.name.startsWith('.')) continue
      if (entry.isDirectory() && (key.startsWith(prefix) || prefix.startsWith(key))) {
        yield* this.#walk(key, prefix)
      } else if (entry.isFile() && key.startsWith(prefix) && isBlobKey(key)) {
        const info = await this.#info(key)
        if (info !== undefined) yield info
      }
    }
  }

  async #entries(folder: string): Promise<Dirent[]> {
    try {
      return await readdir(join(this.#folder, folder), { withFileTypes: true })
    } catch (error) {
      if (isMissing(error)) return []
      throw storeError(`listing ${join(this.#folder, folder)}`, error)
    }
  }

  async #removeEmpty(folder: string): Promise<void> {
    try {
      for (let empty = folder; empty !== '.'; empty = dirname(empty)) {
        await rmdir(join(this.#folder, empty))
      }
    } catch {
      // Not empty, or another did it: both are how this ends.
    }
  }
}

/** Another after every rename; undefined: there is no such file. */
function fileVersion(path: string): string | undefined {
  const info = statSync(path, { bigint: true, throwIfNoEntry: false })
  return info?.isFile() ? `${info.ino} ${info.mtimeNs} ${info.size}` : undefined
}

function folderError(key: string): PipelineError {
  return new PipelineError(
    'CONFIG_INVALID',
    `key ${key} cannot be created: a folder of this name, or a file in place of one of its folders, is in the way; move it away`,
  )
}

function isMissing(error: unknown): boolean {
  return systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR'
}

function unlessMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}
