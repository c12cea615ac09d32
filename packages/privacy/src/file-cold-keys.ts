import { createHash } from 'node:crypto'
import { link, mkdir, open, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PipelineError } from '@winnow/runtime'
import type { ColdKeys } from './cold-keys.ts'
import { coldKeyBytes } from './hash.ts'

/** Longest encoded tenant used as a file name; a longer one is named by its SHA-256 after a `~`. */
export const keyNameLengthMax = 200

/**
 * Keys as files `<folder>/<tenant>.key`, 32 raw bytes, mode 0600, in a folder of mode 0700. A file
 * that others may read, or of another length, is an error and never replaced: a new key in its place
 * would silently part a year of cold rows from what comes after.
 */
export class FileColdKeys implements ColdKeys {
  readonly #folder: string
  readonly #random: (bytes: number) => Uint8Array

  /** `random` gives that many unpredictable bytes, as `crypto.randomBytes` does. */
  constructor(folder: string, random: (bytes: number) => Uint8Array) {
    this.#folder = folder
    this.#random = random
  }

  async key(tenant: string): Promise<Uint8Array> {
    const path = join(this.#folder, `${keyName(tenant)}.key`)
    try {
      return (await readKey(path)) ?? (await this.#make(path))
    } catch (error) {
      if (error instanceof PipelineError) throw error
      throw new PipelineError('STORE_UNAVAILABLE', `cannot read or make ${path}`, { cause: error })
    }
  }

  /** Written whole under another name and then linked, so that no reader sees half a key. */
  async #make(path: string): Promise<Uint8Array> {
    await makeFolder(this.#folder)
    const half = `${path}.${Buffer.from(this.#random(8)).toString('hex')}.tmp`
    const file = await open(half, 'wx', 0o600)
    try {
      await file.writeFile(this.#random(coldKeyBytes))
      await file.sync()
    } finally {
      await file.close()
    }
    await link(half, path).catch(unlessCode('EEXIST'))
    await unlink(half)
    await syncFolder(this.#folder)
    // Whoever lost the race uses the winner's, and so does the winner.
    const key = await readKey(path)
    if (key === undefined)
      throw new PipelineError('DATA_CORRUPT', `${path} went away as it was made`)
    return key
  }
}

async function readKey(path: string): Promise<Uint8Array | undefined> {
  const file = await open(path, 'r').catch(unlessCode('ENOENT'))
  if (file === undefined) return undefined
  try {
    const { mode, size } = await file.stat()
    if ((mode & 0o077) !== 0) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `${path} has mode ${(mode & 0o777).toString(8)}: others may have read it; chmod 600 it`,
      )
    }
    if (size !== coldKeyBytes) {
      throw new PipelineError(
        'DATA_CORRUPT',
        `${path} has ${size} bytes, a cold key has ${coldKeyBytes}; restore it from a copy, or remove it and lose the link to older cold rows`,
      )
    }
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/**
 * Lower-case letters, digits, `-` and `_` stand for themselves, any other byte as `%` and two digits:
 * two tenants never share a file, also where the file system ignores case, and none names a folder.
 */
function keyName(tenant: string): string {
  let name = ''
  for (const byte of Buffer.from(tenant)) {
    const letter = String.fromCharCode(byte)
    name += /[a-z0-9_-]/.test(letter)
      ? letter
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  if (name.length <= keyNameLengthMax) return name
  return `~${createHash('sha256').update(tenant).digest('hex')}`
}

/** A folder is durable once the folder that names it is. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) {
    await syncFolder(dirname(made))
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function unlessCode(code: string): (error: unknown) => undefined {
  return error => {
    if ((error as NodeJS.ErrnoException).code !== code) throw error
  }
}
