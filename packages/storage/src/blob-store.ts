export interface BlobInfo {
  readonly key: string
  readonly bytes: number
  readonly modifiedAtMs: number
}

/**
 * Immutable objects by key. A key is created once and never changes until it is deleted; whoever loses
 * the race to create it reads the winner's. What an object says about itself lies in it (a segment's
 * Parquet footer), never beside it, so that the two cannot part. It says nothing of storage classes,
 * lifecycle or retries: those belong to the adapter.
 */
export interface BlobStore {
  /** True: created, durable, visible whole. False: the key exists and was left as it is. */
  create(key: string, bytes: Uint8Array): Promise<boolean>
  /** `length` bytes from `start`; a negative start counts from the end. Undefined: no such key. */
  read(key: string, start?: number, length?: number): Promise<Uint8Array | undefined>
  head(key: string): Promise<BlobInfo | undefined>
  /** Every key that begins with `prefix`, ascending by UTF-8 bytes. Half-written objects never appear. */
  list(prefix: string): AsyncIterable<BlobInfo>
  /** Deleting what is not there is not an error. */
  delete(key: string): Promise<void>
}
