// Hot file: one object and one promise an append (a batch of records), none a record or span.
import { constants, type FileHandle, open } from 'node:fs/promises'
import { type Clock, PipelineError } from '@winnow/runtime'
import type { NewRecord } from './bus.ts'
import type { FileLogLimits } from './file-bus-limits.ts'
import { frameStrideOf, toBlock } from './file-format.ts'
import { type Append, type Commit, LogComposer } from './log-composer.ts'
import type { LogIo } from './log-io.ts'
import type { LogState } from './log-recovery.ts'
import type { Ring } from './ring.ts'
import type { RunIndex } from './run-index.ts'
import { createSegment, type Segment } from './segment.ts'
import type { TailIndex } from './tail-index.ts'

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
 * are its appends answered. While one is on its way, a large next one is composed already.
 */
export class LogWriter {
  readonly #state: LogState
  readonly #ring: Ring
  readonly #tail: TailIndex
  readonly #composer: LogComposer
  readonly #options: LogWriterOptions
  #file: FileHandle
  readonly #waiting: Append[] = []
  #waitingBytes = 0
  readonly #jobs: (() => Promise<void>)[] = []
  #idle: PromiseWithResolvers<void> | undefined
  #failure: PipelineError | undefined
  readonly #goalBytes: number

  private constructor(
    state: LogState,
    ring: Ring,
    tail: TailIndex,
    file: FileHandle,
    options: LogWriterOptions,
  ) {
    this.#state = state
    this.#ring = ring
    this.#tail = tail
    this.#file = file
    this.#options = options
    this.#goalBytes = Math.min(commitGoalBytes, options.limits.commitBytesMax)
    this.#composer = new LogComposer(state, ring, tail, options.clock)
  }

  static async open(
    state: LogState,
    ring: Ring,
    tail: TailIndex,
    options: LogWriterOptions,
  ): Promise<LogWriter> {
    const file = await openForWriting(state, options)
    return new LogWriter(state, ring, tail, file, options)
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
    let composed: Commit | undefined
    for (;;) {
      const job = this.#jobs.shift()
      if (job !== undefined) {
        await job()
        continue
      }
      if (composed === undefined && this.#waiting.length === 0) break
      composed = await this.#commit(composed ?? this.#composer.compose(this.#take()))
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
      if (count > 0 && bytes > this.#goalBytes) break
      count++
    }
    const taken = this.#waiting.splice(0, count)
    // Neighbours of one partition make long runs, and a long run is one entry of the index.
    return taken.sort((a, b) => a.partition - b.partition)
  }

  /** Never rejects: whatever happens is told to the appends. Returns the next commit if it is composed. */
  async #commit(commit: Commit): Promise<Commit | undefined> {
    const { length } = commit
    try {
      await this.#options.makeRoom(length)
      if (this.#isFull(length)) await this.roll()
    } catch (error) {
      this.#refuse(commit, undefined, asBusError(error, `no room in ${this.#state.folder}`))
      return undefined
    }
    const segment = this.#active()
    const writing = this.#write(commit, segment)
    // By then those whom the last commit has answered have sent what they send next.
    await new Promise(resolve => setImmediate(resolve))
    const next = this.#composeAhead(commit)
    const failure = await writing
    if (failure !== undefined) {
      await this.#undo(commit, next, segment, failure.cause)
      return undefined
    }
    this.#publish(commit, segment)
    return next
  }

  /** Resolves with what went wrong: its rejection might come before anybody waits for it. */
  async #write(commit: Commit, segment: Segment): Promise<{ cause: unknown } | undefined> {
    const { io } = this.#options
    const at = this.#ring.indexOf(commit.place)
    try {
      await io.write(this.#file, this.#ring.memory, at, commit.length, segment.bytes)
      await io.sync(this.#file)
      return undefined
    } catch (cause) {
      return { cause }
    }
  }

  #isFull(length: number): boolean {
    const { segmentBytes, segmentAgeMs } = this.#options.limits
    const active = this.#active()
    if (active.isEmpty) return false
    const ageMs = this.#options.clock.nowMs() - active.header.createdAtMs
    return active.bytes + length > segmentBytes || ageMs >= segmentAgeMs
  }

  /** The copy and the checksums of much data run beside the disk; of little, it joins what still comes. */
  #composeAhead(inFlight: Commit): Commit | undefined {
    if (this.#jobs.length > 0) return undefined
    let bytes = 0
    for (let at = 0; at < this.#waiting.length; at++) bytes += (this.#waiting[at] as Append).bytes
    if (bytes < composeAheadBytesMin) return undefined
    // The first append alone may be above the goal.
    const first = (this.#waiting[0] as Append).bytes
    const length = toBlock(Math.max(first, Math.min(bytes, this.#goalBytes)))
    if (!this.#ring.sparesFrom(inFlight.place, length)) return undefined
    return this.#composer.compose(this.#take())
  }

  /** From here on the records exist. */
  #publish({ appends, runs, length, settled }: Commit, segment: Segment): void {
    const { ends, lastAtMs, waiters } = this.#state
    for (let i = 0; i < runs.length; i += 5) {
      const index = segment.runs[runs[i] as number] as RunIndex
      const position = segment.bytes + (runs[i + 2] as number)
      index.push(runs[i + 1] as number, position, runs[i + 3] as number, runs[i + 4] as number)
    }
    segment.bytes += length
    for (let i = 0; i < appends.length; i++) {
      const { partition, records, bytes, first, atMs, resolve } = appends[i] as Append
      this.#waitingBytes -= bytes
      ends[partition] = first + records.length
      segment.ends[partition] = first + records.length
      lastAtMs[partition] = atMs
      segment.lastAtMs[partition] = atMs
      resolve(first)
      if (appends[i + 1]?.partition !== partition) waiters[partition]?.wake()
    }
    this.#tail.publish(runs, ends)
    this.#settle(settled)
  }

  /** None of `commit` will ever be seen: what was composed behind it begins at the same offsets again. */
  #refuse(commit: Commit, next: Commit | undefined, error: PipelineError): void {
    this.#composer.beginAgain()
    this.#reject(commit.appends, error)
    this.#settle(commit.settled)
    if (next === undefined) return
    this.#waiting.unshift(...next.appends)
    this.#settle(next.settled)
  }

  #settle(settled: () => void): void {
    settled()
    this.#tail.settled()
  }

  #reject(appends: readonly Append[], error: PipelineError): void {
    for (const { bytes, reject } of appends) {
      this.#waitingBytes -= bytes
      reject(error)
    }
  }

  /**
   * A full disk is undone by cutting the file back: nothing of the commit was ever seen. After any
   * other failure nobody knows what the disk holds - a second sync may succeed although the pages of
   * the first are gone - so the log ends here, and the next start reads what is really there.
   */
  async #undo(
    commit: Commit,
    next: Commit | undefined,
    segment: Segment,
    cause: unknown,
  ): Promise<void> {
    const { spec, folder } = this.#state
    if (isNodeError(cause) && cause.code === 'ENOSPC') {
      try {
        await this.#file.truncate(segment.bytes)
        await this.#options.io.sync(this.#file)
        const full = new PipelineError('QUOTA_EXCEEDED', `${folder} is full`, { cause })
        this.#refuse(commit, next, full)
        return
      } catch {
        // Not undone after all: the log ends, with the first error as its reason.
      }
    }
    const reason = `${spec.name} cannot be written any more; end the process and start it again`
    const failure = new PipelineError('BUS_UNAVAILABLE', reason, { cause })
    this.#failure = failure
    this.#refuse(commit, next, failure)
    this.#reject(this.#waiting.splice(0), failure)
    this.#options.onFailure(failure)
  }
}

/**
 * A commit takes no more together: the sync is paid for by then, and what is left is composed while
 * the disk writes instead of before. A little over 1 MiB: eight records of 128 KiB with their frames.
 */
const commitGoalBytes = 1.25 * (1 << 20)

/** Below this, composing costs less than a commit that is smaller than it could be. */
const composeAheadBytesMin = 256 * 1024

function openForWriting(state: LogState, { openFlags }: LogWriterOptions): Promise<FileHandle> {
  const { path } = state.segments.at(-1) as Segment
  return open(path, constants.O_WRONLY | openFlags)
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
