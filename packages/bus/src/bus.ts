import type { PipelineError } from '@winnow/runtime'

/** What a writer hands to the bus. */
export interface NewRecord {
  readonly value: Uint8Array
  /** Compacted topics keep the last record of a key, and take none without: PAYLOAD_INVALID. */
  readonly key?: Uint8Array
  /** Small and adapter-neutral: on `spans` the runs of tenants (see model), else absent. Over `headerBytesMax`: PAYLOAD_TOO_LARGE. */
  readonly header?: Uint8Array
}

/** One durable record as its readers see it. A record that is not yet durable has no reader. */
export interface BusRecord {
  readonly offset: number
  /** Set by the bus when it appended the record: the log's own time, the only one a fold may use. */
  readonly appendedAtMs: number
  readonly key?: Uint8Array
  readonly header?: Uint8Array
  /** Borrowed: valid until the next `read` of the lease, or with the `memory`, that returned it. */
  readonly value: Uint8Array
}

/** A record without its key and value; all of it is the caller's. */
export interface RecordHead {
  readonly offset: number
  readonly appendedAtMs: number
  readonly header?: Uint8Array
  readonly valueBytes: number
}

/** Offsets [from, to) that a reader asked for and retention had removed before it came. */
export interface Gap {
  readonly from: number
  readonly to: number
  /** They are held, and broken: of a source alone, where a stranger's bytes must hold nothing up. */
  readonly cause?: string
}

/**
 * Memory for at least so many bytes; what it gave before may be overwritten. For one reader at a time,
 * see `reusedMemory`.
 */
export type ReadMemory = (bytes: number) => Buffer

export interface Batch {
  readonly records: readonly BusRecord[]
  /** Present on the batch that met it, once: its records are those after the gap. */
  readonly gap?: Gap
}

/** A stretch of the value of one record. A reference to a span's slice is one. */
export interface ValueRange {
  readonly offset: number
  readonly start: number
  readonly length: number
}

/** The bytes, or why there will never be any: OFFSET_GONE, OFFSET_AHEAD, or DATA_CORRUPT where the value ends before. */
export type RangeRead = Uint8Array | PipelineError

/** Where a group stands in a partition, and what it knew there. Both are stored together or not at all. */
export interface Position {
  /** The next offset to read. */
  readonly offset: number
  /** At most `noteBytesMax` of UTF-8: state that a fold could not rebuild from records after `offset`. */
  readonly note: string
}

export const noteBytesMax = 4096
export const headerBytesMax = 64 * 1024

/** Of one `fetchRanges`: what a batch of a few hundred traces needs, and a message between threads carries at ease. */
export const rangesMax = 4096

/**
 * The right to fold one partition for a group, until it is lost. Losing it stops nothing by itself:
 * appends of the old owner still land, only its commits are refused. What a stage appends must
 * therefore be harmless when it comes from a former owner.
 */
export interface Lease {
  readonly partition: number
  readonly committed: Position | undefined
  /** Aborted once another member owns the partition, or the membership closes. */
  readonly lost: AbortSignal
  /**
   * The next records in order, at least one where there is one, else none after `waitMs` or once the
   * lease is lost. Starts at `committed`, else where the log began when the lease was given: what
   * retention takes after that is a gap. The values of a batch have at most `bytesMax` in all, unless
   * the first alone has more.
   */
  read(bytesMax: number, waitMs: number): Promise<Batch>
  /**
   * May lie behind what was read. Rejects with STALE_OWNER when the partition has another owner, and
   * with PAYLOAD_TOO_LARGE for a note over its limit; BUS_UNAVAILABLE is neither yes nor no: ask again.
   */
  commit(position: Position): Promise<void>
}

export interface Membership {
  /** Gives every lease back and resolves once every `fold` has returned. */
  close(): Promise<void>
  /**
   * Rejects when a `fold` threw or the adapter gave up for good: the process has to end. A fold that
   * ends with STALE_OWNER once its lease is lost has only learned of it: it counts as returned.
   */
  readonly failed: Promise<never>
}

/**
 * All that a stage may know of the message bus. At least once; ordered per partition; partitions of
 * equal number in different topics are leased to one member of equally named groups. It says nothing
 * of brokers, batching, compression or retries: those belong to the adapter. A topic or partition
 * that does not exist, and an append of nothing, are CONFIG_INVALID everywhere.
 */
export interface Bus {
  /** Fixed for the life of a topic. */
  partitionCount(topic: string): Promise<number>
  /** Random, made with the topic: part of every name derived from one of its offsets. */
  logId(topic: string): Promise<string>
  /**
   * Resolves with the offset of the first once all are durable, in order and without a stranger's
   * record between them. A failed append may still land. The values may be reused afterwards.
   * QUOTA_EXCEEDED: the log has no room; BUS_UNAVAILABLE: it does not answer.
   */
  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number>
  /** The record at exactly this offset; its value stays as it is. OFFSET_GONE once retention has passed it, OFFSET_AHEAD before it is written. */
  fetch(topic: string, partition: number, offset: number): Promise<BusRecord>
  /**
   * Stretches of values, in the order asked: for who wants 2 KiB each out of records of 128 KiB. They are
   * the caller's and stay as they are; those of one call may share memory, so that keeping one keeps all.
   * Neighbours of one record cost one look at it. Rejects as a whole with what may pass, such as
   * BUS_UNAVAILABLE; more than `rangesMax` are CONFIG_INVALID.
   */
  fetchRanges(
    topic: string,
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]>
  /**
   * Records from `from` on without a group or a position: at least one where there is one, else none
   * after `waitMs`. An offset that retention has passed starts at the first retained, and says the gap;
   * one beyond the end is OFFSET_AHEAD. A compacted topic has holes, which are no gaps. `memory`, which
   * an adapter may leave alone, saves a reader that goes on and on fresh memory for every batch.
   */
  read(
    topic: string,
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    memory?: ReadMemory,
  ): Promise<Batch>
  /**
   * Heads of the next records from `from` on, as many as are at hand without their values: none where it
   * would cost what `read` costs, and then `read` tells the rest. Left out by adapters that always read.
   */
  heads?(topic: string, partition: number, from: number): readonly RecordHead[]
  /** First retained offset, and the one that the next record will get. */
  bounds(
    topic: string,
    partition: number,
  ): Promise<{ readonly first: number; readonly end: number }>
  /** What a group has committed in a partition, for lag. Undefined: nothing yet. */
  committed(topic: string, group: string, partition: number): Promise<Position | undefined>
  /** Runs `fold` once for every partition while this member owns it. */
  join(topic: string, group: string, fold: (lease: Lease) => Promise<void>): Membership
  /** Closes connections and files. Memberships are closed by their owners, before. */
  close(): Promise<void>
}
