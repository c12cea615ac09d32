import { type CloseReason, idText } from '@winnow/model'
import { firstLine } from './close-times.ts'
import { summaryFactsMax } from './config.ts'
import { type TraceKey, wordsOfTrace } from './trace-key.ts'
import type { Chain } from './trace-pool.ts'
import { type TraceState, transitions } from './trace-state.ts'

/** The waits and limits that decide when a trace closes, milliseconds, spans, bytes, slices and traces. */
export interface CloseRules {
  readonly quiet: number
  readonly rootless: number
  readonly openMax: number
  readonly maxSpans: number
  readonly maxBytes: number
  readonly maxRefs: number
  /** Traces of one partition that are open at once. */
  readonly maxOpen: number
  /** Waits of their own, by number from 1 on. */
  readonly closeTimes?: readonly OwnWaits[]
}

/** What a line leaves out is as for all. */
export interface OwnWaits {
  readonly quiet?: number | undefined
  readonly rootless?: number | undefined
  readonly openMax?: number | undefined
}

/** The rules of each line of `closeTimes`; of number 0 those of all. */
export function rulesByLine(rules: CloseRules): readonly CloseRules[] {
  const lines = (rules.closeTimes ?? []).map(({ quiet, rootless, openMax }) => ({
    ...rules,
    quiet: quiet ?? rules.quiet,
    rootless: rootless ?? rules.rootless,
    openMax: openMax ?? rules.openMax,
  }))
  return [rules, ...lines]
}

/** What there is to know of a slice beside its bytes. */
export interface AddedSlice {
  readonly length: number
  readonly spanCount: number
  /** Characters of its facts as JSON, or a few more. */
  readonly jsonLength: number
  readonly hasRoot: boolean
  readonly hasEntry: boolean
  /** The line of `closeTimes` that it asks for; 0 or absent: none. */
  readonly closeTimes?: number
}

/** Spans whose parent is not there: in all, and those of them that are entry spans. */
export interface MissingParents {
  readonly missing: number
  readonly missingEntries: number
}

const traceIdLength = 32

/**
 * One open trace of one partition. Its slices lie in the pool, as the chain that it is the handle of.
 * Times are log time on the partition's own scale.
 */
export class OpenTrace implements Chain, TraceKey {
  readonly tenant: string
  readonly trace0: number
  readonly trace1: number
  readonly trace2: number
  readonly trace3: number
  readonly openedAtMs: number
  /** The oldest offset a restart must read again to have this trace whole. */
  readonly firstOffset: number
  head = -1
  tail = -1
  byteCount = 0
  lastAtMs: number
  sliceCount = 0
  spanCount = 0
  /** Bytes of its slices on the bus. */
  spanBytes = 0
  /** Characters of its slices' facts as JSON. */
  jsonLength = 0
  hasEntry = false
  /** It has a span without parent; `state` says so only while it is open. */
  isRooted = false
  /** The first line of `closeTimes` that one of its slices asked for; 0: none did. */
  closeTimes = 0
  state: TraceState = 'rootless'
  /** When the schedule looks at it next; an older entry of the schedule is stale. */
  checkAtMs = Number.POSITIVE_INFINITY

  constructor(key: TraceKey, openedAtMs: number, firstOffset: number) {
    this.tenant = key.tenant
    this.trace0 = key.trace0
    this.trace1 = key.trace1
    this.trace2 = key.trace2
    this.trace3 = key.trace3
    this.openedAtMs = openedAtMs
    this.lastAtMs = openedAtMs
    this.firstOffset = firstOffset
  }

  /** As it was when a checkpoint was made of it, with no slices in the pool yet. */
  static restore(saved: {
    readonly key: string
    readonly openedAtMs: number
    readonly lastAtMs: number
    readonly firstOffset: number
    readonly spanBytes: number
    readonly sliceCount: number
    readonly spanCount: number
    readonly jsonLength: number
    readonly isRooted: boolean
    readonly hasEntry: boolean
    readonly closeTimes: number
  }): OpenTrace {
    const tenant = saved.key.slice(traceIdLength)
    const key = { tenant, ...wordsOfTrace(saved.key.slice(0, traceIdLength)) }
    const trace = new OpenTrace(key, saved.openedAtMs, saved.firstOffset)
    trace.lastAtMs = saved.lastAtMs
    trace.spanBytes = saved.spanBytes
    trace.sliceCount = saved.sliceCount
    trace.spanCount = saved.spanCount
    trace.jsonLength = saved.jsonLength
    trace.hasEntry = saved.hasEntry
    trace.isRooted = saved.isRooted
    trace.closeTimes = saved.closeTimes
    if (saved.isRooted) trace.#move('root')
    return trace
  }

  /** Trace id and tenant: the id is fixed in length, so that neither is taken for a part of the other. */
  get key(): string {
    return this.traceId + this.tenant
  }

  get traceId(): string {
    return idText(this.trace0, this.trace1) + idText(this.trace2, this.trace3)
  }

  add(slice: AddedSlice, atMs: number): void {
    this.sliceCount++
    this.spanCount += slice.spanCount
    this.spanBytes += slice.length
    this.jsonLength += slice.jsonLength
    this.lastAtMs = atMs
    if (slice.hasEntry) this.hasEntry = true
    const { closeTimes = 0 } = slice
    if (closeTimes > 0) this.closeTimes = firstLine(this.closeTimes, closeTimes)
    this.#move('slice')
    if (!slice.hasRoot) return
    this.isRooted = true
    this.#move('root')
  }

  close(event: 'due' | 'over'): void {
    this.#move(event)
  }

  /** The limit that the trace has reached, if any. It closes at once and goes on as a fragment. */
  overLimit(rules: CloseRules): CloseReason | undefined {
    if (this.spanCount >= rules.maxSpans) return 'spans'
    if (this.spanBytes >= rules.maxBytes || this.jsonLength >= summaryFactsMax) return 'bytes'
    return this.sliceCount >= rules.maxRefs ? 'refs' : undefined
  }

  /** Whether `due` looks at parents at all: finding the missing ones reads every span. */
  get asksForParents(): boolean {
    return this.state === 'rooted' || this.hasEntry
  }

  /**
   * When it is due if nothing more comes, and why. An entry span counts as the root, and its parent as
   * none of ours, once 2 × quiet have passed without it (design section 3).
   */
  due(
    rules: CloseRules,
    { missing, missingEntries }: MissingParents,
  ): { readonly atMs: number; readonly reason: CloseReason } {
    const cap = this.openedAtMs + rules.openMax
    const quietAt = this.lastAtMs + rules.quiet
    const entryAt = this.lastAtMs + 2 * rules.quiet
    if (this.state === 'rooted' && missing === 0) return earliest(quietAt, 'root', cap)
    if (this.state === 'rooted' || missingEntries > 0) {
      if (missing === missingEntries) return earliest(entryAt, 'root', cap)
      if (this.state === 'rooted') return { atMs: cap, reason: 'long' }
    }
    return earliest(this.lastAtMs + rules.rootless, 'rootless', cap)
  }

  /** The first moment at which `due` could possibly say so: cheap, for the schedule. */
  earliestDueMs(rules: CloseRules): number {
    const wait = this.asksForParents ? rules.quiet : rules.rootless
    return Math.min(this.lastAtMs + wait, this.openedAtMs + rules.openMax)
  }

  #move(event: 'slice' | 'root' | 'due' | 'over'): void {
    const next = transitions[this.state][event]
    if (next === undefined) throw new TypeError(`a ${this.state} trace cannot take ${event}`)
    if (next !== 'forgotten') this.state = next
  }
}

function earliest(
  atMs: number,
  reason: CloseReason,
  capMs: number,
): { readonly atMs: number; readonly reason: CloseReason } {
  return capMs < atMs ? { atMs: capMs, reason: 'long' } : { atMs, reason }
}
