import { link, open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDurableFolder, PipelineError, syncFolder } from '@winnow/runtime'
import { checkKeyMode, keyName, type OnKeyWarning, unlessCode } from './key-files.ts'
import { type TokenKeys, tokenKeysFrom } from './token-keys.ts'
import { type TokenKey, tokenKeyBytes, tokenKeysMax } from './tokens.ts'

/**
 * Keys as files `<folder>/<tenant>.tokens`, a line a key, `ID HEX`, the last one current; mode 0600, in a folder
 * of mode 0700. Made on first use. A file that everybody may read, or with a line that is no key, is an error and
 * never replaced: a new key would part what a person is called from what he was called before. One that its group
 * may read is used with a warning.
 */
export class FileTokenKeys implements TokenKeys {
  readonly #folder: string
  readonly #random: (bytes: number) => Uint8Array
  readonly #onWarning: OnKeyWarning | undefined

  /** `random` gives that many unpredictable bytes, as `crypto.randomBytes` does. */
  constructor(folder: string, random: (bytes: number) => Uint8Array, onWarning?: OnKeyWarning) {
    this.#folder = folder
    this.#random = random
    this.#onWarning = onWarning
  }

  keys(tenant: string): Promise<readonly TokenKey[]> {
    return this.#guarded(tenant, async path => (await this.#read(path)) ?? (await this.#make(path)))
  }

  /** The tenant's keys where they have been made; makes none. */
  existing(tenant: string): Promise<readonly TokenKey[] | undefined> {
    return this.#guarded(tenant, path => this.#read(path))
  }

  /** Adds a key, which is the current one from now on; the others stay for look-up. Returns its id. */
  rotate(tenant: string): Promise<number> {
    return this.#guarded(tenant, async path => {
      const keys = (await this.#read(path)) ?? (await this.#make(path))
      const id = (keys.at(-1)?.id ?? -1) + 1
      if (id >= tokenKeysMax) {
        throw new PipelineError(
          'CONFIG_INVALID',
          `${path} has ${tokenKeysMax} keys (tokenKeysMax); take out what no stored token was made with, and number the rest anew never`,
        )
      }
      const half = await this.#write(path, [...keys, { id, bytes: this.#random(tokenKeyBytes) }])
      await rename(half, path)
      await syncFolder(this.#folder)
      return id
    })
  }

  async #guarded<T>(tenant: string, act: (path: string) => Promise<T>): Promise<T> {
    const path = join(this.#folder, `${keyName(tenant)}.tokens`)
    try {
      return await act(path)
    } catch (error) {
      if (error instanceof PipelineError) throw error
      throw new PipelineError('STORE_UNAVAILABLE', `cannot read or make ${path}`, { cause: error })
    }
  }

  #read(path: string): Promise<readonly TokenKey[] | undefined> {
    return readKeys(path, this.#onWarning)
  }

  /** Written whole under another name and then linked, so that no reader sees half a key. */
  async #make(path: string): Promise<readonly TokenKey[]> {
    await makeDurableFolder(this.#folder, 0o700)
    const half = await this.#write(path, [{ id: 0, bytes: this.#random(tokenKeyBytes) }])
    await link(half, path).catch(unlessCode('EEXIST'))
    await unlink(half)
    await syncFolder(this.#folder)
    const keys = await this.#read(path)
    if (keys === undefined) {
      throw new PipelineError('DATA_CORRUPT', `${path} went away as it was made`)
    }
    return keys
  }

  async #write(path: string, keys: readonly TokenKey[]): Promise<string> {
    const half = `${path}.${Buffer.from(this.#random(8)).toString('hex')}.tmp`
    const file = await open(half, 'wx', 0o600)
    try {
      const lines = keys.map(
        ({ id, bytes }) => `${id.toString(16)} ${Buffer.from(bytes).toString('hex')}\n`,
      )
      await file.writeFile(lines.join(''))
      await file.sync()
    } finally {
      await file.close()
    }
    return half
  }
}

async function readKeys(
  path: string,
  onWarning: OnKeyWarning | undefined,
): Promise<readonly TokenKey[] | undefined> {
  const file = await open(path, 'r').catch(unlessCode('ENOENT'))
  if (file === undefined) return undefined
  try {
    const { mode } = await file.stat()
    checkKeyMode(path, mode, onWarning)
    const keys = tokenKeysFrom(await file.readFile('utf8'))
    if (keys !== undefined && keys.length > 0) return keys
    throw new PipelineError(
      'DATA_CORRUPT',
      `${path} has no keys, or a line that is none: each is an id of one hexadecimal digit, a space and 64 of them`,
    )
  } finally {
    await file.close()
  }
}
