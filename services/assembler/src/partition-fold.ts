// Hot: every slice of the pipeline passes here, its spans as bytes.
import type { CloseReason } from '@winnow/model'
import { LogTime, type LogTimeState } from './log-time.ts'
import { type AddedSlice, type CloseRules, OpenTrace, rulesByLine } from './open-trace.ts'
import { Schedule } from './schedule.ts'
import { SliceHeadReader, SliceHeadWriter } from './slice-bytes.ts'
import { isSameTrace, type TraceKey, wordsOfTrace } from './trace-key.ts'
import { TraceMap } from './trace-map.ts'
import { ChainMemory, TracePool } from './trace-pool.ts'
import { TraceSpans } from './trace-spans.ts'

/** One slice as it was read from a record of `spans`. */
export interface ReadSlice extends AddedSlice, TraceKey {
  readonly start: number
  /** See packed-facts.ts. Borrowed: valid until the next slice is read. */
  readonly facts: Uint8Array
}

/** A trace whose summary has to be written. It holds the commit back until that is acknowledged. */
export interface ClosedTrace {
  readonly trace: OpenTrace
  readonly reason: CloseReason
  readonly closedAtMs: number
  /**
   * Distinct parents that were named and had not come. None where it closed by its root: what an entry
   * span names is then a parent in somebody else's trace data.
   */
  readonly missingParents: number
}

/** The whole state of a fold between two records; what else it has is derived from it. */
export interface FoldState {
  /** The next offset to read. */
  readonly position: number
  readonly time: LogTimeState
  /** In the order in which they opened. */
  readonly open: Iterable<OpenTrace>
  /** Closed and not acknowledged, oldest first. */
  readonly closed: Iterable<ClosedTrace>
  /** Holds the slices of them all. */
  readonly pool: TracePool
}

/** What is known of a trace that is still open: its spans so far. Times are log time. */
export interface PendingTrace {
  readonly spanCount: number
  readonly slices: number
  readonly firstAppendedAtMs: number
  readonly lastAppendedAtMs: number
}

/**
 * The fold of one partition of `spans`: pure, so that what it closes depends on the log alone, except
 * at the log's end, where the caller brings the wall clock.
 */
export class PartitionFold {
  readonly #rules: CloseRules
  /** Of each line of `closeTimes`, behind those of all. */
  readonly #rulesByLine: readonly CloseRules[]
  readonly #open = new TraceMap()
  readonly #schedule = new Schedule<OpenTrace>()
  readonly #closed: ClosedTrace[] = []
  readonly #pool: TracePool
  readonly #spans = new TraceSpans()
  readonly #headWriter = new SliceHeadWriter()
  readonly #heads = new SliceHeadReader()
  /** Memory for the bytes of the trace that is looked at. */
  readonly #memory = new ChainMemory()
  readonly time: LogTime
  /** The next offset to read. */
  position: number
  /** Spans of closed traces whose id had come in an earlier slice. */
  duplicateSpans = 0
  /** Traces whose summaries are durable, since this fold began. */
  acknowledged = 0

  constructor(rules: CloseRules, from: number | FoldState) {
    this.#rules = rules
    this.#rulesByLine = rulesByLine(rules)
    if (typeof from === 'number') {
      this.position = from
      this.time = new LogTime()
      this.#pool = new TracePool()
      return
    }
    this.position = from.position
    this.time = new LogTime(from.time)
    this.#pool = from.pool
    for (const closed of from.closed) this.#closed.push(closed)
    for (const trace of from.open) {
      this.#open.add(trace)
      this.#reschedule(trace)
    }
  }

  /** A view, not a copy: valid until the fold goes on. */
  get state(): FoldState {
    return {
      position: this.position,
      time: this.time.state,
      open: this.#open.values(),
      closed: this.#closed,
      pool: this.#pool,
    }
  }

  get openCount(): number {
    return this.#open.size
  }

  /** Closed and not acknowledged, oldest first. */
  get closed(): readonly ClosedTrace[] {
    return this.#closed
  }

  /** Undefined: the trace is neither open nor closed and not acknowledged. */
  find(tenant: string, traceId: string): PendingTrace | undefined {
    const key = { tenant, ...wordsOfTrace(traceId) }
    // As many as close in one turn, so few.
    const trace =
      this.#open.find(key) ?? this.#closed.find(closed => isSameTrace(closed.trace, key))?.trace
    if (trace === undefined) return undefined
    const { heads } = this.slicesOf(trace)
    heads.next()
    const firstAppendedAtMs = heads.appendedAtMs
    while (heads.next());
    const lastAppendedAtMs = heads.appendedAtMs
    const spanCount = this.#spansOf(trace).distinct
    return { spanCount, slices: trace.sliceCount, firstAppendedAtMs, lastAppendedAtMs }
  }

  /** A trace's slices one after another, and the bytes where they lie: both valid until the next call. */
  slicesOf(trace: OpenTrace): { readonly bytes: Buffer; readonly heads: SliceHeadReader } {
    const { byteCount } = trace
    const { words, bytes } = this.#memory.reserve(byteCount)
    this.#pool.copy(trace, words)
    return { bytes, heads: this.#heads.begin(bytes, byteCount) }
  }

  /** Applies one record: first everything due before its time closes, then its slices are added. */
  apply(offset: number, appendedAtMs: number, slices: Iterable<ReadSlice>): void {
    this.closeBefore(appendedAtMs)
    this.add(offset, appendedAtMs, slices)
  }

  /**
   * Closes what is due before a record of that time, `closesMax` at most: thousands due at once would
   * hold the thread. Whether nothing more is due: only then may the record be added.
   */
  closeBefore(appendedAtMs: number, closesMax = Number.POSITIVE_INFINITY): boolean {
    this.time.apply(appendedAtMs)
    return this.#closeDue(this.time.nowMs, appendedAtMs, closesMax)
  }

  /** Adds the slices of the record at `offset`, once `closeBefore` its time has said that nothing is due. */
  add(offset: number, appendedAtMs: number, slices: Iterable<ReadSlice>): void {
    for (const slice of slices) this.#add(offset, appendedAtMs, slice)
    this.position = offset + 1
  }

  /**
   * For the end of the log only: closes what was due more than `slackMs` ago by the wall clock,
   * `closesMax` at most. Whether nothing more is.
   */
  closeAtWall(wallMs: number, slackMs: number, closesMax = Number.POSITIVE_INFINITY): boolean {
    return this.#closeDue(this.time.atWall(wallMs) - slackMs, wallMs, closesMax)
  }

  /** Forgets the first `count` closed traces: their summaries are durable. */
  acknowledge(count: number): void {
    this.acknowledged += count
    // An entry of the schedule may refer to a trace for a minute after its end.
    for (const { trace } of this.#closed.splice(0, count)) this.#pool.release(trace)
  }

  /** The next time at which something could be due, on the scale of `time`. */
  get nextDueMs(): number {
    return this.#schedule.nextAtMs
  }

  /**
   * The smallest offset that an open or unacknowledged trace still needs: what may be committed.
   * Traces open in the order of their first offset, so the oldest has the smallest.
   */
  get committable(): number {
    let least = Math.min(this.position, this.#open.oldest?.firstOffset ?? this.position)
    for (const { trace } of this.#closed) least = Math.min(least, trace.firstOffset)
    return least
  }

  #add(offset: number, appendedAtMs: number, slice: ReadSlice): void {
    let trace = this.#open.find(slice)
    if (trace === undefined) {
      if (this.#open.size >= this.#rules.maxOpen) this.#closeOldest(appendedAtMs)
      trace = new OpenTrace(slice, this.time.nowMs, offset)
      this.#open.add(trace)
    }
    const { start, length, spanCount, facts } = slice
    const head = this.#headWriter
    const headBytes = head.write(offset, start, length, spanCount, appendedAtMs, facts.length)
    this.#pool.append(trace, head.bytes, headBytes)
    this.#pool.append(trace, facts, facts.length)
    trace.add(slice, this.time.nowMs)
    const over = trace.overLimit(this.#rules)
    if (over === undefined) this.#reschedule(trace)
    else this.#close(trace, over, 'over', appendedAtMs, this.#spansOf(trace))
  }

  /** An id costs a client nothing: what is open has a bound, and what comes of the trace later is a fragment. */
  #closeOldest(appendedAtMs: number): void {
    const { oldest } = this.#open
    if (oldest === undefined) return
    this.#close(oldest, 'long', 'over', appendedAtMs, this.#spansOf(oldest))
  }

  /**
   * A new trace is looked at after the shortest wait there is, although without a root it would have
   * more time: it gets its root soon as a rule, and would then lie in the schedule twice.
   */
  #reschedule(trace: OpenTrace): void {
    const { quiet, rootless } = this.#rules
    const isNew = trace.checkAtMs === Number.POSITIVE_INFINITY
    const soonMs = isNew ? this.time.nowMs + Math.min(quiet, rootless) : Number.POSITIVE_INFINITY
    const atMs = Math.min(trace.earliestDueMs(this.#rulesOf(trace)), soonMs)
    // A later time needs no new entry: the earlier one finds out when it is popped.
    if (atMs >= trace.checkAtMs) return
    trace.checkAtMs = atMs
    this.#schedule.push(atMs, trace)
  }

  #closeDue(beforeMs: number, stampMs: number, closesMax: number): boolean {
    for (let closes = 0; this.#schedule.nextAtMs < beforeMs; ) {
      if (closes === closesMax) return false
      const { atMs, item: trace } = this.#schedule.pop()
      if (trace.state === 'closing' || atMs !== trace.checkAtMs) continue
      const checkAtMs = this.#closeIfDue(trace, beforeMs, stampMs)
      if (checkAtMs === undefined) closes++
      else {
        trace.checkAtMs = checkAtMs
        this.#schedule.push(checkAtMs, trace)
      }
    }
    return true
  }

  /** Undefined: closed. Else when to look at it again. */
  #closeIfDue(trace: OpenTrace, beforeMs: number, stampMs: number): number | undefined {
    const rules = this.#rulesOf(trace)
    const earliestMs = trace.earliestDueMs(rules)
    if (earliestMs >= beforeMs) return earliestMs
    const spans = trace.asksForParents ? this.#spansOf(trace) : undefined
    const { atMs, reason } = trace.due(rules, spans ?? nothingMissing)
    if (atMs >= beforeMs) return atMs
    this.#close(trace, reason, 'due', stampMs, spans ?? this.#spansOf(trace))
    return undefined
  }

  /** Of a checkpoint made under more lines than there are now some traces have none. */
  #rulesOf({ closeTimes }: OpenTrace): CloseRules {
    return this.#rulesByLine[closeTimes] ?? this.#rules
  }

  #close(
    trace: OpenTrace,
    reason: CloseReason,
    event: 'due' | 'over',
    closedAtMs: number,
    spans: TraceSpans,
  ): void {
    trace.close(event)
    this.duplicateSpans += spans.duplicates
    this.#open.delete(trace)
    const missingParents = reason === 'root' ? 0 : spans.missingParents
    this.#closed.push({ trace, reason, closedAtMs, missingParents })
  }

  #spansOf(trace: OpenTrace): TraceSpans {
    const { bytes, heads } = this.slicesOf(trace)
    return this.#spans.load(heads, bytes, trace.spanCount)
  }
}

const nothingMissing = { missing: 0, missingEntries: 0 }
