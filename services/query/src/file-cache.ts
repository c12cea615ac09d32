import { Lru } from '@winnow/runtime'
import type { SortedFile } from '@winnow/storage'

/** Index files that have been looked at, up to a sum of bytes; what was used longest ago goes first. */
export class FileCache {
  readonly #files: Lru<SortedFile>

  constructor(bytesMax: number) {
    this.#files = new Lru(bytesMax)
  }

  /** Memory of all. */
  get bytes(): number {
    return this.#files.weight
  }

  has(key: string): boolean {
    return this.#files.get(key) !== undefined
  }

  forget(key: string): void {
    this.#files.take(key)
  }

  /** The file of this key, opened where it is not held. A key that does not exist is not remembered. */
  async get(
    key: string,
    open: () => Promise<SortedFile | undefined>,
  ): Promise<SortedFile | undefined> {
    const held = this.#files.take(key)
    const file = held ?? (await open())
    if (file !== undefined) this.#files.set(key, file, file.weight)
    return file
  }
}
