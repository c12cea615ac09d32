import { isRetryable, type Log, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  latestSnapshot,
  readIndexSnapshot,
  writeIndexSnapshot,
} from '@winnow/storage'
import type { PartitionHead, PartitionState } from './partition-state.ts'

/** Which fold a snapshot is of: offsets of another log mean something else. */
export interface SnapshotPlace {
  readonly partition: number
  readonly logId: string
}

/** What of a state is no entry of its index and nothing that every snapshot says. */
type Extra = Pick<PartitionHead, 'awaiting' | 'spend' | 'ceilings'>

/**
 * Snapshots of partitions' folds in the blob store, so that whoever takes a partition up reads the tail
 * of `decisions` and not three days of it, and so that query finds a decision without an index of its
 * own. Nothing waits for them: without one, or with one that cannot be read, the log is folded.
 */
export class StateSnapshots {
  readonly #blobs: BlobStore
  readonly #log: Log
  /** Next offset of the newest one written here, by partition. */
  readonly #written = new Map<number, number>()
  readonly #writing = new Set<number>()

  constructor(blobs: BlobStore, log: Log) {
    this.#blobs = blobs
    this.#log = log
  }

  /**
   * The newest whose next offset lies in [first, end]: an older one would lack decisions that retention
   * has removed. Undefined where there is none, or none that can be read; `newState` makes an empty one.
   */
  async load(
    { partition, logId }: SnapshotPlace,
    { first, end }: { readonly first: number; readonly end: number },
    newState: () => PartitionState,
  ): Promise<PartitionState | undefined> {
    try {
      const key = await latestSnapshot(this.#blobs, partition, logId, end)
      if (key === undefined) return undefined
      const state = newState()
      const head = await readIndexSnapshot(this.#blobs, key, entry => state.loadEntry(entry))
      if (head === undefined || head.nextOffset < first) return undefined
      const { nextOffset, counting, decidedAtMs } = head
      // One of before there were ceilings says nothing of them.
      const extra: Extra = { ceilings: [], ...(head.extra as Omit<Extra, 'ceilings'>) }
      state.load({ nextOffset, counting, decidedAtMs, ...extra })
      this.#log.info('sampler.snapshot_loaded', { partition, nextOffset, traces: state.traces })
      return state
    } catch (error) {
      this.#told('sampler.snapshot_unreadable', error, partition)
      return undefined
    }
  }

  /** Writes one beside whatever the partition does, unless one is being written or nothing is new. */
  async write({ partition, logId }: SnapshotPlace, state: PartitionState): Promise<void> {
    const { head } = state
    const { nextOffset, counting, decidedAtMs, awaiting, spend, ceilings } = head
    if (this.#writing.has(partition) || this.#written.get(partition) === nextOffset) return
    this.#writing.add(partition)
    try {
      const extra: Extra = { awaiting, spend, ceilings }
      await writeIndexSnapshot(
        this.#blobs,
        { partition, logId, nextOffset, counting, decidedAtMs, extra },
        { size: state.traces, [Symbol.iterator]: () => state.entries()[Symbol.iterator]() },
      )
      this.#written.set(partition, nextOffset)
    } catch (error) {
      this.#told('sampler.snapshot_not_written', error, partition)
    } finally {
      this.#writing.delete(partition)
    }
  }

  /**
   * What a store cannot give or take, and what another release has written, costs a longer fold. What
   * is no failure of a store is a bug.
   */
  #told(event: string, error: unknown, partition: number): void {
    const isFile = error instanceof PipelineError && fileCodes.has(error.code)
    if (!isFile && !isRetryable(error)) throw error
    this.#log.error(event, error, { partition })
  }
}

/** A file that is torn, and one in the format of a newer release. */
const fileCodes: ReadonlySet<string> = new Set(['DATA_CORRUPT', 'CONFIG_INVALID'])

/** So that the partitions of a process do not write all at once. */
export function spread(partition: number, everyMs: number): number {
  return (everyMs * ((partition * 7) % 16)) / 16
}
