// Hot: every span of the pipeline passes here. One object a slice, none a span.
import type { CloseReason } from '@winnow/model'
import { LogTime } from './log-time.ts'
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

/**
 * The fold of one partition of `spans`: pure, so that what it closes depends on the log alone, except
 * at the log's end, where the caller brings the wall clock.
 */
export class PartitionFold {
  readonly #rules: CloseRules
  readonly #open = new Map<string, OpenTrace>()
  readonly #schedule = new Schedule<OpenTrace>()
  readonly #closed: ClosedTrace[] = []
  readonly time = new LogTime()
  /** The next offset to read. */
  position: number
  duplicateSpans = 0

  constructor(rules: CloseRules, position: number) {
    this.#rules = rules
    this.position = position
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
    this.time.apply(appendedAtMs)
    this.#closeDue(this.time.nowMs, appendedAtMs)
    for (const slice of slices) this.#add(offset, appendedAtMs, slice)
    this.position = offset + 1
  }

  /** For the end of the log only: closes what was due more than `slackMs` ago by the wall clock. */
  closeAtWall(wallMs: number, slackMs: number): void {
    this.#closeDue(this.time.atWall(wallMs) - slackMs, wallMs)
  }

  /** Forgets the first `count` closed traces: their summaries are durable. */
  acknowledge(count: number): void {
    this.#closed.splice(0, count)
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

  #reschedule(trace: OpenTrace): void {
    const atMs = trace.earliestDueMs(this.#rules)
    // A later time needs no new entry: the earlier one finds out when it is popped.
    if (atMs >= trace.checkAtMs) return
    trace.checkAtMs = atMs
    this.#schedule.push(atMs, trace)
  }

  #closeDue(beforeMs: number, stampMs: number): void {
    for (;;) {
      const entry = this.#schedule.popBefore(beforeMs)
      if (entry === undefined) return
      const trace = entry.item
      if (trace.state === 'closing' || entry.atMs !== trace.checkAtMs) continue
      const due = trace.due(this.#rules)
      if (due.atMs < beforeMs) {
        this.#close(trace, due.reason, 'due', stampMs)
        continue
      }
      trace.checkAtMs = due.atMs
      this.#schedule.push(due.atMs, trace)
    }
  }

  #close(trace: OpenTrace, reason: CloseReason, event: 'due' | 'over', closedAtMs: number): void {
    trace.close(event)
    this.#open.delete(key(trace.tenant, trace.traceId))
    this.#closed.push({ trace, reason, closedAtMs })
  }
}

/** A trace id is fixed in length, so the tenant, whatever it holds, cannot be mistaken for a part of it. */
function key(tenant: string, traceId: string): string {
  return traceId + tenant
}
