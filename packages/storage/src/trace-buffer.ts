/** A record of `spans` as the bus holds it. */
export interface BufferedRecord {
  readonly offset: number
  readonly value: Uint8Array
}

/** `length` bytes, at least one, from `start` within the value of the record at (partition, offset). */
export interface BufferedRange {
  readonly partition: number
  readonly offset: number
  readonly start: number
  readonly length: number
}

/** The state of a fold of one partition of `spans` when `offset` is the next record to read. */
export interface Checkpoint {
  readonly offset: number
  /** Says itself what it is, of which log, and by a checksum that it is whole. */
  readonly bytes: Uint8Array
}

/**
 * What open traces need soon, kept near: the bytes of records of `spans` from the moment they are read
 * until their traces are written, and a checkpoint of every partition's open traces. All of it is the
 * bus's own or a fold of it, so whatever goes missing costs a `fetch` or a replay and nothing else.
 *
 * Therefore no call rejects, and none waits longer than a limit of its adapter: an outage, a value over
 * the adapter's limit, an eviction, an expiry and a flush are all the same to a caller, a miss. What an
 * adapter could not do it counts and says itself.
 *
 * Everything lies under a log id, so that two logs whose offsets are alike never meet. It says nothing
 * of budget, expiry, eviction or batching: those belong to the adapter. Nobody deletes: a record holds
 * slices of many traces and nobody knows when the last of them is written, so time removes it.
 */
export interface TraceBuffer {
  /** Values may be reused once it resolves. The same record again is the same bytes. */
  putRecords(logId: string, partition: number, records: readonly BufferedRecord[]): Promise<void>
  /**
   * The bytes of each range, in the order asked, from however many records in one round trip. Undefined:
   * the record is not here, or does not reach so far. The bytes are the caller's.
   */
  readRanges(
    logId: string,
    ranges: readonly BufferedRange[],
  ): Promise<readonly (Uint8Array | undefined)[]>
  /**
   * The last put that lands is the one that is read, whole, whoever made it and whatever its offset: a
   * former owner's may replace a later one. Each is a true fold at its offset, so that a smaller offset
   * only means a longer replay; whoever reads it judges the offset against what is committed.
   */
  putCheckpoint(logId: string, partition: number, checkpoint: Checkpoint): Promise<void>
  readCheckpoint(logId: string, partition: number): Promise<Checkpoint | undefined>
  /** Afterwards every read is a miss. */
  close(): Promise<void>
}
