// Hot file: one object and one promise an append (a batch of records), none a record or span.
import { constants, type FileHandle, open } from 'node:fs/promises'
import { type Clock, PipelineError } from '@winnow/runtime'
import type { NewRecord } from './bus.ts'
import type { FileLogLimits } from './file-bus-limits.ts'
import { frameStrideOf, toBlock, writeFrame } from './file-format.ts'
import type { LogIo } from './log-io.ts'
import type { LogState } from './log-recovery.ts'
import type { Ring } from './ring.ts'
import { type RunIndex, runBytesMax } from './run-index.ts'
import { createSegment, type Segment } from './segment.ts'

interface Append {
  readonly partition: number
  readonly records: readonly NewRecord[]
  /** Of its frames. */
  readonly bytes: number
  readonly resolve: (first: number) => void
  readonly reject: (error: unknown) => void
  /** Offset of its first record and time of all, once the commit is composed. */
  first: number
  atMs: number
}

export interface LogWriterOptions {
  readonly limits: FileLogLimits
  readonly clock: Clock
  readonly io: LogIo
  /** Flags that bypass the page cache, where the folder and the ring allow it; else 0. */
  readonly openFlags: number
  /** Makes sure that a commit of so many bytes has room, or rejects with QUOTA_EXCEEDED. */
  readonly makeRoom: (bytes: number) => Promise<void> | undefined
  /** Runs between the old segment and the new, before the next commit. */
  readonly onRoll: () => Promise<void>
  /** The log is broken: it takes nothing more. */
  readonly onFailure: (error: PipelineError) => void
}

/**
 * The one writer of a log. There is no timer: a commit starts when the log is idle, and whatever
 * arrives meanwhile is the next one, so that under load commits grow by themselves. A commit is one
 * write and one sync for all partitions; only then do its records exist for readers, and only then
 * are its appends answered.
 */
export class LogWriter {
  readonly #state: LogState
  readonly #ring: Ring
  readonly #options: LogWriterOptions
  #file: FileHandle
  readonly #waiting: Append[] = []
  #waitingBytes = 0
  readonly #jobs: (() => Promise<void>)[] = []
  #idle: PromiseWithResolvers<void> | undefined
  #failure: PipelineError | undefined
  /** The runs of the commit in flight: partition, first offset, position, bytes, ring place. */
  readonly #runs: number[] = []

  private constructor(state: LogState, ring: Ring, file: FileHandle, options: LogWriterOptions) {
    this.#state = state
    this.#ring = ring
    this.#file = file
    this.#options = options
  }

  static async open(state: LogState, ring: Ring, options: LogWriterOptions): Promise<LogWriter> {
    const file = await openForWriting(state, options)
    return new LogWriter(state, ring, file, options)
  }

  append(partition: number, records: readonly NewRecord[]): Promise<number> {
    let bytes = 0
    for (let at = 0; at < records.length; at++) bytes += frameStrideOf(records[at] as NewRecord)
    const refusal = this.#refusal(bytes)
    if (refusal !== undefined) return Promise.reject(refusal)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ partition, records, bytes, resolve, reject, first: 0, atMs: 0 })
      this.#waitingBytes += bytes
      this.#start()
    })
  }

  /** Runs `job` while no commit is in flight. */
  exclusive(job: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#jobs.push(() => job().then(resolve, reject))
      this.#start()
    })
  }

  /** Seals the segment written to and begins the next. Only within `exclusive`, or by a commit. */
  async roll(): Promise<void> {
    const { spec, folder, logId, ends, lastAtMs } = this.#state
    const active = this.#active()
    const sequence = active.header.sequence + 1
    const next = await createSegment(folder, {
      logId,
      keyed: spec.keyed,
      compacted: false,
      sequence,
      replacesFrom: sequence,
      createdAtMs: this.#options.clock.nowMs(),
      bases: ends.slice(),
      lastAtMs: lastAtMs.slice(),
    })
    await active.seal()
    const previous = this.#file
    this.#state.segments = [...this.#state.segments, next]
    this.#file = await openForWriting(this.#state, this.#options)
    await previous.close()
    await this.#options.onRoll()
  }

  /** Takes nothing more, finishes what was taken, and closes the file. */
  async close(): Promise<void> {
    this.#failure ??= new PipelineError('BUS_UNAVAILABLE', `${this.#state.spec.name} is closed`)
    await this.#idle?.promise
    await this.#file.close()
  }

  #active(): Segment {
    return this.#state.segments.at(-1) as Segment
  }

  #refusal(bytes: number): PipelineError | undefined {
    const { commitBytesMax, waitingBytesMax } = this.#options.limits
    const name = this.#state.spec.name
    if (this.#failure !== undefined) return this.#failure
    if (bytes > commitBytesMax) {
      const limit = `commitBytesMax is ${commitBytesMax}; append less at a time`
      return new PipelineError('PAYLOAD_TOO_LARGE', `${bytes} bytes for ${name}, ${limit}`)
    }
    if (this.#waitingBytes + bytes > waitingBytesMax) {
      const limit = `waitingBytesMax is ${waitingBytesMax}; try again`
      return new PipelineError(
        'QUOTA_EXCEEDED',
        `${this.#waitingBytes} bytes wait for ${name}, ${limit}`,
      )
    }
    return undefined
  }

  /** Appends of one turn of the event loop meet in one commit: it begins after that turn. */
  #start(): void {
    if (this.#idle !== undefined) return
    this.#idle = Promise.withResolvers()
    setImmediate(() => {
      void this.#run()
    })
  }

  async #run(): Promise<void> {
    for (;;) {
      const job = this.#jobs.shift()
      if (job !== undefined) await job()
      else if (this.#waiting.length > 0) await this.#commit(this.#take())
      else break
    }
    const idle = this.#idle
    this.#idle = undefined
    idle?.resolve()
  }

  #take(): Append[] {
    let bytes = 0
    let count = 0
    while (count < this.#waiting.length) {
      bytes += (this.#waiting[count] as Append).bytes
      if (bytes > this.#options.limits.commitBytesMax) break
      count++
    }
    const taken = this.#waiting.splice(0, count)
    // Neighbours of one partition make long runs, and a long run is one entry of the index.
    return taken.sort((a, b) => a.partition - b.partition)
  }

  /** Never rejects: whatever happens is told to the appends. */
  async #commit(appends: Append[]): Promise<void> {
    let bytes = 0
    for (let at = 0; at < appends.length; at++) bytes += (appends[at] as Append).bytes
    this.#waitingBytes -= bytes
    const length = toBlock(bytes)
    try {
      await this.#options.makeRoom(length)
      if (this.#isFull(length)) await this.roll()
    } catch (error) {
      refuse(appends, asBusError(error, `no room in ${this.#state.folder}`))
      return
    }
    const segment = this.#active()
    const place = this.#ring.reserve(length)
    this.#compose(appends, place, length, segment.bytes)
    try {
      const { io } = this.#options
      const at = this.#ring.indexOf(place)
      await io.write(this.#file, this.#ring.memory, at, length, segment.bytes)
      await io.sync(this.#file)
    } catch (cause) {
      await this.#undo(appends, segment, cause)
      return
    }
    this.#publish(appends, segment, length)
  }

  #isFull(length: number): boolean {
    const { segmentBytes, segmentAgeMs } = this.#options.limits
    const active = this.#active()
    if (active.isEmpty) return false
    const ageMs = this.#options.clock.nowMs() - active.header.createdAtMs
    return active.bytes + length > segmentBytes || ageMs >= segmentAgeMs
  }

  #compose(appends: readonly Append[], place: number, length: number, position: number): void {
    const { memory } = this.#ring
    const { ends, lastAtMs, seed } = this.#state
    const nowMs = this.#options.clock.nowMs()
    const base = this.#ring.indexOf(place)
    let at = base
    let runStart = base
    let runPartition = -1
    let runFirst = 0
    let next = 0
    this.#runs.length = 0
    for (let i = 0; i < appends.length; i++) {
      const append = appends[i] as Append
      const { partition, records } = append
      if (partition !== runPartition) {
        this.#closeRun(runPartition, runFirst, position + runStart - base, at - runStart, place)
        next = ends[partition] as number
        runPartition = partition
        runFirst = next
        runStart = at
      }
      append.first = next
      const atMs = Math.max(nowMs, lastAtMs[partition] as number)
      append.atMs = atMs
      for (let r = 0; r < records.length; r++) {
        if (at - runStart >= runBytesMax) {
          this.#closeRun(runPartition, runFirst, position + runStart - base, at - runStart, place)
          runFirst = next
          runStart = at
        }
        const record = records[r] as NewRecord
        at = writeFrame(memory, at, record, partition, next, atMs, at === base, seed)
        next++
      }
    }
    this.#closeRun(runPartition, runFirst, position + runStart - base, at - runStart, place)
    memory.fill(0, at, base + length)
  }

  /** `place` is the commit's; the run's own is as far behind it as its position in the file. */
  #closeRun(
    partition: number,
    first: number,
    position: number,
    bytes: number,
    place: number,
  ): void {
    if (bytes === 0) return
    const ringAt = place + position - this.#active().bytes
    this.#runs.push(partition, first, position, bytes, ringAt)
  }

  /** From here on the records exist. */
  #publish(appends: readonly Append[], segment: Segment, length: number): void {
    const { ends, lastAtMs, waiters } = this.#state
    const runs = this.#runs
    for (let i = 0; i < runs.length; i += 5) {
      const index = segment.runs[runs[i] as number] as RunIndex
      index.push(
        runs[i + 1] as number,
        runs[i + 2] as number,
        runs[i + 3] as number,
        runs[i + 4] as number,
      )
    }
    segment.bytes += length
    for (let i = 0; i < appends.length; i++) {
      const { partition, records, first, atMs, resolve } = appends[i] as Append
      ends[partition] = first + records.length
      segment.ends[partition] = first + records.length
      lastAtMs[partition] = atMs
      segment.lastAtMs[partition] = atMs
      resolve(first)
      const isLastOfPartition = appends[i + 1]?.partition !== partition
      if (isLastOfPartition) waiters[partition]?.wake()
    }
  }

  /**
   * A full disk is undone by cutting the file back: nothing of the commit was ever seen. After any
   * other failure nobody knows what the disk holds - a second sync may succeed although the pages of
   * the first are gone - so the log ends here, and the next start reads what is really there.
   */
  async #undo(appends: readonly Append[], segment: Segment, cause: unknown): Promise<void> {
    const { spec, folder } = this.#state
    if (isNodeError(cause) && cause.code === 'ENOSPC') {
      try {
        await this.#file.truncate(segment.bytes)
        await this.#options.io.sync(this.#file)
        refuse(appends, new PipelineError('QUOTA_EXCEEDED', `${folder} is full`, { cause }))
        return
      } catch {
        // Not undone after all: the log ends, with the first error as its reason.
      }
    }
    const reason = `${spec.name} cannot be written any more; end the process and start it again`
    const failure = new PipelineError('BUS_UNAVAILABLE', reason, { cause })
    this.#failure = failure
    refuse(appends, failure)
    refuse(this.#waiting.splice(0), failure)
    this.#waitingBytes = 0
    this.#options.onFailure(failure)
  }
}

function openForWriting(state: LogState, { openFlags }: LogWriterOptions): Promise<FileHandle> {
  const { path } = state.segments.at(-1) as Segment
  return open(path, constants.O_WRONLY | openFlags)
}

function refuse(appends: readonly Append[], error: PipelineError): void {
  for (const append of appends) append.reject(error)
}

function asBusError(error: unknown, message: string): PipelineError {
  if (error instanceof PipelineError) return error
  const isFull = isNodeError(error) && error.code === 'ENOSPC'
  const code = isFull ? 'QUOTA_EXCEEDED' : 'BUS_UNAVAILABLE'
  return new PipelineError(code, message, { cause: error })
}

function isNodeError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error
}
