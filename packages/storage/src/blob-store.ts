export interface BlobInfo {
  readonly key: string
  readonly bytes: number
  readonly modifiedAtMs: number
}

/** Other bytes for an object that has these; undefined: it may stay as it is. */
export type BlobChange = (bytes: Uint8Array) => Promise<Uint8Array | undefined>

/**
 * Immutable objects by key. A key is created once and never changes until it is deleted; whoever loses
 * the race to create it reads the winner's. Erasure alone puts other bytes in its place (`rewrite`). What an object says about itself lies in it (a segment's
 * Parquet footer), never beside it, so that the two cannot part. It says nothing of storage classes,
 * lifecycle or retries: those belong to the adapter.
 *
 * A key is what `checkBlobKey` lets through: folders, and a name that ends in a suffix (`.parquet`), which
 * no folder does. So no key is another's folder, and half the stores there are keep files below. Every call
 * rejects with CONFIG_INVALID for any other key and with STORE_UNAVAILABLE where the store does not
 * answer or is full; then an object may or may not have been created, and nobody hears true.
 */
export interface BlobStore {
  /**
   * True: created, durable, visible whole. False: the key exists, durably, and was left as it is.
   * Of any number of callers at once exactly one hears true.
   */
  create(key: string, bytes: Uint8Array): Promise<boolean>
  /**
   * `length` bytes from `start`; a negative start counts from the end, as does none at all of what
   * the object has. Less where it ends earlier. Undefined: no such key. The bytes are the caller's.
   */
  read(key: string, start?: number, length?: number): Promise<Uint8Array | undefined>
  head(key: string): Promise<BlobInfo | undefined>
  /**
   * Every key that begins with `prefix`, ascending by UTF-8 bytes. Half-written objects never appear, nor
   * what others put there by names that are no keys.
   */
  list(prefix: string): AsyncIterable<BlobInfo>
  /**
   * Puts what `change` makes of an object's bytes in their place: whoever reads meanwhile has the old ones or
   * the new ones whole, and the new ones are durable before the old ones go. Where somebody else was faster
   * `change` is asked again with what is there then, so that of two at once neither is lost. True: it was
   * rewritten. False: there is no such key, or it was left as it is. A server that looks at a condition and then
   * writes may lose one of two that come at the same instant: who needs both looks again later.
   */
  rewrite(key: string, change: BlobChange): Promise<boolean>
  /** Deleting what is not there is not an error. */
  delete(key: string): Promise<void>
  /** Ends what is under way, which rejects, and gives back what is held. Nothing is called after it. */
  close(): Promise<void>
}
