import { crc32 } from 'node:zlib'
import type { BusRecord, Lease } from '@winnow/bus'
import { PipelineError } from '@winnow/runtime'
import {
  type CheckpointOwner,
  checkpointBytesMax,
  decodeCheckpoint,
  encodeCheckpoint,
  type FoldedRecord,
} from './checkpoint.ts'
import { lineNames } from './close-times.ts'
import type { FoldState, PartitionFold } from './partition-fold.ts'
import type { Shared } from './shared.ts'

/** Asks the bus until it answers. */
export type Ask = <T>(call: () => Promise<T>) => Promise<T>

/**
 * The checkpoints of one partition. Each is a true fold at its offset, whoever wrote it, a former owner
 * too: what it does not hold any more was acknowledged on `evidence`. What was closed and acknowledged
 * after it is closed again by whoever resumes from it, and a summary twice is the same set.
 */
export class PartitionCheckpoints {
  readonly #shared: Shared
  readonly #lease: Lease
  readonly #owner: CheckpointOwner
  #last: FoldedRecord | undefined
  #writtenAtMs: number
  #writtenOf = ''
  #putting: Promise<void> | undefined

  constructor(shared: Shared, lease: Lease, logId: string) {
    this.#shared = shared
    this.#lease = lease
    const closeTimes = lineNames(shared.config.closeTimes)
    this.#owner = { logId, group: shared.group, partition: lease.partition, closeTimes }
    this.#writtenAtMs = shared.clock.nowMs()
  }

  /** What to resume from instead of `from`, the committed offset: undefined where the log is to be read. */
  async resume(
    bounds: { readonly first: number; readonly end: number },
    from: number,
    ask: Ask,
  ): Promise<FoldState | undefined> {
    const { logId, partition } = this.#owner
    const found = await this.#shared.buffer?.readCheckpoint(logId, partition)
    if (found === undefined) return undefined
    const read = decodeCheckpoint(found.bytes, this.#owner)
    if (typeof read === 'string') return this.#leave(read)
    const { state, last } = read
    const { position } = state
    if (position < from || position <= bounds.first) return this.#leave('behind', position)
    if (position > bounds.end) return this.#leave('ahead', position)
    if (!(await this.#isOurs(last, ask))) return this.#leave('foreign', position)
    this.#last = last
    this.#shared.metrics.checkpoints.inc({ result: 'used' })
    this.#shared.log.info('assembler.resumed', { partition, from, position })
    return state
  }

  /** To be told of the last record of every batch before its value is given back. */
  folded({ offset, appendedAtMs, value }: BusRecord): void {
    this.#last = { offset, appendedAtMs, crc: crc32(value) }
  }

  /** Writes one where it is time, or where `isLast`; the fold has to stand still until it resolves. */
  async write(fold: PartitionFold, isLast = false): Promise<void> {
    const { buffer, clock, config, metrics, log } = this.#shared
    const last = this.#last
    if (buffer === undefined || last === undefined) return
    const isDue = isLast || clock.nowMs() >= this.#writtenAtMs + config.checkpointEvery
    const of = `${fold.position} ${fold.openCount} ${fold.acknowledged}`
    if (!isDue || of === this.#writtenOf) return
    // A slow buffer gets fewer of them; nothing waits for it but a stop.
    if (this.#putting !== undefined && !isLast) return
    await this.#putting
    const { position } = fold
    const { logId, partition } = this.#owner
    const bytes = await encodeCheckpoint(this.#owner, last, fold.state, () => clock.sleep(0))
    this.#writtenAtMs = clock.nowMs()
    this.#writtenOf = of
    if (bytes === undefined) {
      metrics.checkpoints.inc({ result: 'too_large' })
      log.warn('assembler.checkpoint_too_large', { partition, position, checkpointBytesMax })
      return
    }
    metrics.checkpoints.inc({ result: 'written' })
    const putting = buffer.putCheckpoint(logId, partition, { offset: position, bytes })
    this.#putting = putting.finally(() => {
      this.#putting = undefined
    })
    if (isLast) await this.#putting
  }

  /**
   * Whether the log still has the record that was folded last. One that was cut and went on has other
   * records under the same offsets, and a fold of those that are gone would pass over them unread.
   */
  async #isOurs(last: FoldedRecord, ask: Ask): Promise<boolean> {
    const { bus, topics } = this.#shared
    try {
      const record = await ask(() => bus.fetch(topics.spans, this.#lease.partition, last.offset))
      return record.appendedAtMs === last.appendedAtMs && crc32(record.value) === last.crc
    } catch (error) {
      const isGone = error instanceof PipelineError && goneCodes.has(error.code)
      if (!isGone) throw error
      return false
    }
  }

  #leave(reason: string, position?: number): undefined {
    this.#shared.metrics.checkpoints.inc({ result: reason })
    const { partition } = this.#owner
    // One that lies behind is what a commit after it leaves: nothing is wrong.
    const level = reason === 'behind' ? 'info' : 'warn'
    this.#shared.log[level]('assembler.checkpoint_left', { partition, reason, position })
  }
}

const goneCodes: ReadonlySet<string> = new Set(['OFFSET_GONE', 'OFFSET_AHEAD', 'DATA_CORRUPT'])
