import type { SortedFile } from '@winnow/storage'

/** Index files that have been looked at, up to a sum of bytes; what was used longest ago goes first. */
export class FileCache {
  readonly #bytesMax: number
  readonly #files = new Map<string, SortedFile>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Memory of all. */
  get bytes(): number {
    return this.#bytes
  }

  /** The file of this key, opened where it is not held. A key that does not exist is not remembered. */
  async get(
    key: string,
    open: () => Promise<SortedFile | undefined>,
  ): Promise<SortedFile | undefined> {
    const held = this.#files.get(key)
    this.#drop(key)
    const file = held ?? (await open())
    if (file === undefined || file.weight > this.#bytesMax) return file
    this.#drop(key)
    this.#files.set(key, file)
    this.#bytes += file.weight
    for (const oldest of this.#files.keys()) {
      if (this.#bytes <= this.#bytesMax) break
      this.#drop(oldest)
    }
    return file
  }

  #drop(key: string): void {
    const file = this.#files.get(key)
    if (file === undefined) return
    this.#files.delete(key)
    this.#bytes -= file.weight
  }
}
