// Hot: every span of the pipeline passes here. One object a slice, none a span.
import type { CloseReason } from '@winnow/model'
import { LogTime, type LogTimeState } from './log-time.ts'
import { type CloseRules, OpenTrace } from './open-trace.ts'
import { Schedule } from './schedule.ts'

/** One slice as it was read from a record of `spans`. */
export interface ReadSlice {
  readonly tenant: string
  readonly traceId: string
  readonly start: number
  readonly length: number
  readonly spanCount: number
  /** SliceFacts as JSON text. */
  readonly facts: string
  /** `spanIdWords` words a span. Borrowed: valid until the next slice is read. */
  readonly spanIds: Uint32Array
}

/** A trace whose summary has to be written. It holds the commit back until that is acknowledged. */
export interface ClosedTrace {
  readonly trace: OpenTrace
  readonly reason: CloseReason
  readonly closedAtMs: number
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
}

/**
 * The fold of one partition of `spans`: pure, so that what it closes depends on the log alone, except
 * at the log's end, where the caller brings the wall clock.
 */
export class PartitionFold {
  readonly #rules: CloseRules
  readonly #open = new Map<string, OpenTrace>()
  readonly #schedule = new Schedule<OpenTrace>()
  readonly #closed: ClosedTrace[] = []
  readonly time: LogTime
  /** The next offset to read. */
  position: number
  duplicateSpans = 0
  /** Traces whose summaries are durable, since this fold began. */
  acknowledged = 0

  constructor(rules: CloseRules, from: number | FoldState) {
    this.#rules = rules
    const state = typeof from === 'number' ? { ...emptyState, position: from } : from
    this.position = state.position
    this.time = new LogTime(state.time)
    for (const closed of state.closed) this.#closed.push(closed)
    for (const trace of state.open) {
      this.#open.set(key(trace.tenant, trace.traceId), trace)
      this.#reschedule(trace)
    }
  }

  /** A view, not a copy: valid until the fold goes on. */
  get state(): FoldState {
    const { position, time } = this
    return { position, time: time.state, open: this.#open.values(), closed: this.#closed }
  }

  get openCount(): number {
    return this.#open.size
  }

  /** Closed and not acknowledged, oldest first. */
  get closed(): readonly ClosedTrace[] {
    return this.#closed
  }

  find(tenant: string, traceId: string): OpenTrace | undefined {
    return (
      this.#open.get(key(tenant, traceId)) ??
      this.#closed.find(({ trace }) => trace.traceId === traceId && trace.tenant === tenant)?.trace
    )
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
    for (const { trace } of this.#closed.splice(0, count)) trace.release()
  }

  /** The next time at which something could be due, on the scale of `time`. */
  get nextDueMs(): number {
    return this.#schedule.nextAtMs
  }

  /**
   * The smallest offset that an open or unacknowledged trace still needs: what may be committed.
   * Traces open in the order of their first offset, so the first of the map has the smallest.
   */
  get committable(): number {
    let least = this.position
    for (const trace of this.#open.values()) {
      least = Math.min(least, trace.firstOffset)
      break
    }
    for (const { trace } of this.#closed) least = Math.min(least, trace.firstOffset)
    return least
  }

  #add(offset: number, appendedAtMs: number, slice: ReadSlice): void {
    const id = key(slice.tenant, slice.traceId)
    let trace = this.#open.get(id)
    if (trace === undefined) {
      trace = new OpenTrace(slice.tenant, slice.traceId, this.time.nowMs)
      this.#open.set(id, trace)
    }
    const { start, length, spanCount, facts } = slice
    const repeated = trace.duplicateSpans
    trace.addSlice(
      { offset, start, length, spanCount, appendedAtMs, facts },
      slice.spanIds,
      this.time.nowMs,
    )
    this.duplicateSpans += trace.duplicateSpans - repeated
    const over = trace.overLimit(this.#rules)
    if (over === undefined) this.#reschedule(trace)
    else this.#close(trace, over, 'over', appendedAtMs)
  }

  /**
   * A new trace is looked at after the shortest wait there is, although without a root it would have
   * more time: it gets its root soon as a rule, and would then lie in the schedule twice.
   */
  #reschedule(trace: OpenTrace): void {
    const { quiet, rootless } = this.#rules
    const isNew = trace.checkAtMs === Number.POSITIVE_INFINITY
    const soonMs = isNew ? this.time.nowMs + Math.min(quiet, rootless) : Number.POSITIVE_INFINITY
    const atMs = Math.min(trace.earliestDueMs(this.#rules), soonMs)
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
      const due = trace.due(this.#rules)
      if (due.atMs < beforeMs) {
        this.#close(trace, due.reason, 'due', stampMs)
        closes++
        continue
      }
      trace.checkAtMs = due.atMs
      this.#schedule.push(due.atMs, trace)
    }
    return true
  }

  #close(trace: OpenTrace, reason: CloseReason, event: 'due' | 'over', closedAtMs: number): void {
    trace.close(event)
    this.#open.delete(key(trace.tenant, trace.traceId))
    this.#closed.push({ trace, reason, closedAtMs })
  }
}

const emptyState: FoldState = {
  position: 0,
  time: { effectiveMs: 0, stampMs: null },
  open: [],
  closed: [],
}

/** A trace id is fixed in length, so the tenant, whatever it holds, cannot be mistaken for a part of it. */
function key(tenant: string, traceId: string): string {
  return traceId + tenant
}
