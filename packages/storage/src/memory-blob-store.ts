import type { Clock } from '@winnow/runtime'
import { blobRange, checkBlobKey } from './blob-key.ts'
import type { BlobChange, BlobInfo, BlobStore } from './blob-store.ts'

/** Objects that end with the process, for tests. */
export class MemoryBlobStore implements BlobStore {
  readonly #clock: Clock
  readonly #objects = new Map<string, { readonly bytes: Uint8Array; readonly atMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    checkBlobKey(key)
    if (this.#objects.has(key)) return false
    this.#objects.set(key, { bytes: bytes.slice(), atMs: this.#clock.nowMs() })
    return true
  }

  async read(
    key: string,
    start = 0,
    length = Number.POSITIVE_INFINITY,
  ): Promise<Uint8Array | undefined> {
    checkBlobKey(key)
    const bytes = this.#objects.get(key)?.bytes
    const range = blobRange(bytes?.length ?? 0, start, length)
    return bytes?.slice(range.start, range.end)
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    checkBlobKey(key)
    const object = this.#objects.get(key)
    return object && { key, bytes: object.bytes.length, modifiedAtMs: object.atMs }
  }

  async *list(prefix: string): AsyncIterable<BlobInfo> {
    const keys = [...this.#objects.keys()].filter(key => key.startsWith(prefix)).sort()
    for (const key of keys) {
      const info = await this.head(key)
      if (info !== undefined) yield info
    }
  }

  async rewrite(key: string, change: BlobChange): Promise<boolean> {
    checkBlobKey(key)
    for (;;) {
      const before = this.#objects.get(key)
      const bytes = before && (await change(before.bytes.slice()))
      if (bytes === undefined) return false
      if (this.#objects.get(key) !== before) continue
      this.#objects.set(key, { bytes: bytes.slice(), atMs: this.#clock.nowMs() })
      return true
    }
  }

  async delete(key: string): Promise<void> {
    checkBlobKey(key)
    this.#objects.delete(key)
  }

  async close(): Promise<void> {}
}
