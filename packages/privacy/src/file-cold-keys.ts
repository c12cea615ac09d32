import { link, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDurableFolder, PipelineError, syncFolder } from '@winnow/runtime'
import type { ColdKeys } from './cold-keys.ts'
import { coldKeyBytes, coldKeysMax } from './hash.ts'
import { checkKeyMode, keyName, type OnKeyWarning, unlessCode } from './key-files.ts'

/**
 * Keys as files `<folder>/<tenant>.key`, 32 raw bytes a key, the last one current; mode 0600, in a folder of mode
 * 0700. A file that everybody may read, or of another length, is an error and never replaced: a new key in its place
 * would silently part a year of cold rows from what comes after. One that its group may read is used with a warning.
 * `ColdKeyChanges` rotates and destroys them.
 */
export class FileColdKeys implements ColdKeys {
  readonly #folder: string
  readonly #random: ((bytes: number) => Uint8Array) | undefined
  readonly #onWarning: OnKeyWarning | undefined

  /**
   * `random` gives that many unpredictable bytes, as `crypto.randomBytes` does. Undefined: no key is made here, and
   * one that is not there is STORE_UNAVAILABLE: a key of its own would equal nothing that the writers have put.
   */
  constructor(
    folder: string,
    random: ((bytes: number) => Uint8Array) | undefined,
    onWarning?: OnKeyWarning,
  ) {
    this.#folder = folder
    this.#random = random
    this.#onWarning = onWarning
  }

  async keys(tenant: string): Promise<readonly Uint8Array[]> {
    const path = coldKeyFile(this.#folder, tenant)
    try {
      return (await readColdKeys(path, this.#onWarning)) ?? (await this.#make(path))
    } catch (error) {
      if (error instanceof PipelineError) throw error
      throw new PipelineError('STORE_UNAVAILABLE', `cannot read or make ${path}`, { cause: error })
    }
  }

  /** Written whole under another name and then linked, so that no reader sees half a key. */
  async #make(path: string): Promise<readonly Uint8Array[]> {
    const random = this.#random
    if (random === undefined) {
      throw new PipelineError(
        'STORE_UNAVAILABLE',
        `${path} is not there, and only a writer makes it: mount the writers' keys (their data folder, keys/cold) here; if they are, the writers have written nothing of this tenant yet`,
      )
    }
    await makeDurableFolder(this.#folder, 0o700)
    const half = await writeColdKeys(path, [random(coldKeyBytes)], random)
    await link(half, path).catch(unlessCode('EEXIST'))
    await unlink(half)
    await syncFolder(this.#folder)
    // Whoever lost the race uses the winner's, and so does the winner.
    const keys = await readColdKeys(path, this.#onWarning)
    if (keys === undefined)
      throw new PipelineError('DATA_CORRUPT', `${path} went away as it was made`)
    return keys
  }
}

export function coldKeyFile(folder: string, tenant: string): string {
  return join(folder, `${keyName(tenant)}.key`)
}

/** Of a file beside `path`, synced: its name, which is to take the place of `path`. */
export async function writeColdKeys(
  path: string,
  keys: readonly Uint8Array[],
  random: (bytes: number) => Uint8Array,
  owner?: { readonly uid: number; readonly gid: number },
): Promise<string> {
  const half = `${path}.${Buffer.from(random(8)).toString('hex')}.tmp`
  const file = await open(half, 'wx', 0o600)
  try {
    // Where root does it: whoever runs the program has to read it.
    if (owner !== undefined) await file.chown(owner.uid, owner.gid)
    await file.writeFile(Buffer.concat(keys))
    await file.sync()
  } finally {
    await file.close()
  }
  return half
}

/** Undefined: there is no file. */
export async function readColdKeys(
  path: string,
  onWarning?: OnKeyWarning,
): Promise<readonly Uint8Array[] | undefined> {
  for (let tries = 1; ; tries++) {
    const bytes = await readFileOf(path, onWarning)
    if (bytes === undefined) return undefined
    const count = bytes.length / coldKeyBytes
    if (!Number.isInteger(count) || count < 1 || count > coldKeysMax) {
      throw new PipelineError(
        'DATA_CORRUPT',
        `${path} has ${bytes.length} bytes, a cold key has ${coldKeyBytes}, and of a tenant there are at most ${coldKeysMax}; restore it from a copy, or remove it and lose the link to older cold rows`,
      )
    }
    const keys = Array.from({ length: count }, (_, n) =>
      Uint8Array.prototype.slice.call(bytes, n * coldKeyBytes, (n + 1) * coldKeyBytes),
    )
    // A file that was destroyed as it was read: another has taken its name.
    if (!keys.some(key => key.every(byte => byte === 0))) return keys
    if (tries === 2) {
      throw new PipelineError(
        'DATA_CORRUPT',
        `${path} has a key of zeros; restore it from a copy, or remove it and lose the link to older cold rows`,
      )
    }
  }
}

async function readFileOf(
  path: string,
  onWarning: OnKeyWarning | undefined,
): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch(unlessCode('ENOENT'))
  if (file === undefined) return undefined
  try {
    const { mode } = await file.stat()
    checkKeyMode(path, mode, onWarning)
    return await file.readFile()
  } finally {
    await file.close()
  }
}
