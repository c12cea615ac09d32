import type { BlobStore } from '../blob-store.ts'
import type { KeyedSnapshotEntry, SnapshotEntries, SnapshotHead } from './index-snapshot.ts'

/** mulberry32: the same seed gives the same numbers, 0 to 2^32 - 1. */
export function seededWords(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

export const hexOf = (words: ArrayLike<number>): string =>
  Array.from(words, word => word.toString(16).padStart(8, '0')).join('')

export const head: SnapshotHead = {
  partition: 3,
  logId: 'log-1',
  nextOffset: 5_000,
  counting: { claim: 17, next: 204 },
  decidedAtMs: 1_795_244_400_123,
  extra: { awaiting: [['default', 'a'.repeat(32), 1]], spend: [] },
}

/** `count` entries of two tenants, in the order of a hash table; ids may begin alike. */
export function entriesOf(seed: number, count: number, sharedWords = 0): SnapshotEntries {
  const word = seededWords(seed)
  const entries: KeyedSnapshotEntry[] = Array.from({ length: count }, (_, n) => ({
    tenant: n % 7 === 0 ? 'umlaut-ö' : 'default',
    id: [0, 1, 2, 3].map(at => (at < sharedWords ? 0x67_00_00_01 : word())),
    offset: n,
    decidedAtMs: 1_795_244_400_000 + n,
    fingerprint: (BigInt(word()) << 32n) | BigInt(word()),
    revision: 1 + (n % 5),
    verdict: n % 3 === 0 ? 'keep' : 'drop',
  }))
  return Object.assign(entries, { size: count })
}

/** A store that counts what is asked of it. */
export class CountingBlobs implements BlobStore {
  readonly #store: BlobStore
  reads = 0
  bytesRead = 0

  constructor(store: BlobStore) {
    this.#store = store
  }

  create(key: string, bytes: Uint8Array): Promise<boolean> {
    return this.#store.create(key, bytes)
  }

  async read(key: string, start?: number, length?: number): Promise<Uint8Array | undefined> {
    this.reads++
    const bytes = await this.#store.read(key, start, length)
    this.bytesRead += bytes?.length ?? 0
    return bytes
  }

  head(key: string): ReturnType<BlobStore['head']> {
    this.reads++
    return this.#store.head(key)
  }

  list(prefix: string): ReturnType<BlobStore['list']> {
    this.reads++
    return this.#store.list(prefix)
  }

  rewrite(...call: Parameters<BlobStore['rewrite']>): Promise<boolean> {
    return this.#store.rewrite(...call)
  }

  delete(key: string): Promise<void> {
    return this.#store.delete(key)
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}
