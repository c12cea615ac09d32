import { type FileHandle, link, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { PipelineError, syncFolder } from '@winnow/runtime'
import { coldKeyFile, readColdKeys, writeColdKeys } from './file-cold-keys.ts'
import { ColdHasher, coldKeyBytes, coldKeyCheck, coldKeysMax } from './hash.ts'
import { unlessCode } from './key-files.ts'

/** The keys of one tenant by their names, which tell nothing of them. */
export interface NamedColdKeys {
  readonly file: string
  /** Oldest first, the current one last. */
  readonly keys: readonly string[]
  /** When the file was changed last: since then the current key has been that. */
  readonly changedAtMs: number
}

export interface ColdKeysDestroyed extends NamedColdKeys {
  readonly destroyed: readonly string[]
}

/**
 * What an operator does to the keys in the folder of `FileColdKeys`, beside processes that run: each change is one
 * rename, so that nobody reads half of it, and is durable when it resolves; the bytes of the file before are overwritten. Of
 * two at once the second is refused, by a file `<tenant>.key.lock`.
 */
export class ColdKeyChanges {
  readonly #folder: string
  readonly #random: (bytes: number) => Uint8Array

  /** `random` gives that many unpredictable bytes, as `crypto.randomBytes` does. */
  constructor(folder: string, random: (bytes: number) => Uint8Array) {
    this.#folder = folder
    this.#random = random
  }

  /** Undefined: nothing of the tenant has been hashed with a key of this folder. */
  async list(tenant: string): Promise<NamedColdKeys | undefined> {
    const file = coldKeyFile(this.#folder, tenant)
    const keys = await guarded(file, () => readColdKeys(file))
    return keys && named(file, keys)
  }

  /** Adds a key, which is the current one from now on; the others stay, so that what they hashed can be looked up. */
  rotate(tenant: string): Promise<NamedColdKeys> {
    return this.#change(tenant, async (file, keys) => {
      if (keys.length >= coldKeysMax) {
        throw new PipelineError(
          'CONFIG_INVALID',
          `${file} has ${keys.length} keys, of at most ${coldKeysMax} (coldKeysMax): destroy one whose rows have expired first (winnow cold-keys destroy --key)`,
        )
      }
      await this.#replace(file, [...keys, this.#random(coldKeyBytes)])
      return named(file, await present(file))
    })
  }

  /**
   * Destroys those keys of the tenant, without `ids` all of them; where the current one is among them a new one is
   * made. Their bytes are overwritten, in the file and in what a killed process left beside it.
   */
  destroy(tenant: string, ids?: readonly string[]): Promise<ColdKeysDestroyed> {
    return this.#change(tenant, async (file, keys) => {
      // Before anything is refused: a command that was killed may have taken the keys out, and left their bytes.
      await this.#removeHalves(file)
      const names = keys.map(nameOf)
      const unknown = ids?.find(id => !names.includes(id))
      if (unknown !== undefined) {
        throw new PipelineError(
          'CONFIG_INVALID',
          `${file} has no key ${unknown}; it has ${names.join(', ')}`,
        )
      }
      const destroyed = ids === undefined ? names : names.filter(name => ids.includes(name))
      const left = keys.filter((_, at) => !destroyed.includes(names[at] as string))
      const isCurrentGone = destroyed.includes(names.at(-1) as string)
      await this.#replace(file, isCurrentGone ? [...left, this.#random(coldKeyBytes)] : left)
      return { ...(await named(file, await present(file))), destroyed }
    })
  }

  async #change<T>(
    tenant: string,
    act: (file: string, keys: readonly Uint8Array[]) => Promise<T>,
  ): Promise<T> {
    const file = coldKeyFile(this.#folder, tenant)
    return guarded(file, async () => {
      await present(file)
      const lock = `${file}.lock`
      const locked = await open(lock, 'wx', 0o600).catch(unlessCode('EEXIST'))
      if (locked === undefined) {
        throw new PipelineError(
          'CONFIG_INVALID',
          `${lock} is there: somebody else changes these keys now; where nobody does (a command was killed), remove it and do it again`,
        )
      }
      try {
        await locked.close()
        return await act(file, await present(file))
      } finally {
        await unlink(lock).catch(unlessCode('ENOENT'))
      }
    })
  }

  async #replace(file: string, keys: readonly Uint8Array[]): Promise<void> {
    const half = await writeColdKeys(file, keys, this.#random, await stat(file))
    // The old bytes keep a name until they are overwritten, so that whoever comes after a crash reaches them.
    await link(file, `${file}.${Buffer.from(this.#random(8)).toString('hex')}.tmp`)
    await rename(half, file)
    await syncFolder(dirname(file))
    await this.#removeHalves(file)
    const there = await present(file)
    if (Buffer.compare(Buffer.concat(there), Buffer.concat(keys)) === 0) return
    throw new PipelineError(
      'CONFIG_INVALID',
      `${file} was changed by somebody else at the same time: look at it (winnow cold-keys list), then do it again`,
    )
  }

  /** What the change has replaced, and what a process left that was killed as it made or changed a key. */
  async #removeHalves(file: string): Promise<void> {
    const folder = dirname(file)
    const current = await stat(file)
    for (const name of await readdir(folder)) {
      if (!name.startsWith(`${basename(file)}.`) || !name.endsWith('.tmp')) continue
      const half = await open(join(folder, name), 'r+').catch(unlessCode('ENOENT'))
      if (half === undefined) continue
      try {
        // A second name of the file itself is only taken away.
        if ((await half.stat()).ino !== current.ino) await overwrite(half)
      } finally {
        await half.close()
      }
      await unlink(join(folder, name)).catch(unlessCode('ENOENT'))
    }
    await syncFolder(folder)
  }
}

async function present(file: string): Promise<readonly Uint8Array[]> {
  const keys = await readColdKeys(file)
  if (keys !== undefined) return keys
  throw new PipelineError(
    'CONFIG_INVALID',
    `${file} is not there: nothing of this tenant has been put into cold with keys of this folder; is it the writers' data folder (--data, --config), and the tenant's whole name?`,
  )
}

async function named(file: string, keys: readonly Uint8Array[]): Promise<NamedColdKeys> {
  return { file, keys: keys.map(nameOf), changedAtMs: Math.floor((await stat(file)).mtimeMs) }
}

function nameOf(key: Uint8Array): string {
  return coldKeyCheck(new ColdHasher(key))
}

async function overwrite(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  await file.write(new Uint8Array(size), 0, size, 0)
  await file.sync()
}

async function guarded<T>(file: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof PipelineError) throw error
    throw new PipelineError('STORE_UNAVAILABLE', `cannot read or change ${file}`, { cause: error })
  }
}
