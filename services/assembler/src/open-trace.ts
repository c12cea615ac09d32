import type { CloseReason } from '@winnow/model'
import { summaryFactsMax } from './config.ts'
import { type TraceState, transitions } from './trace-state.ts'

/** A slice of an open trace: where it lies and its facts as JSON text, extracted once. */
export interface OpenSlice {
  readonly offset: number
  readonly start: number
  readonly length: number
  readonly spanCount: number
  readonly appendedAtMs: number
  readonly facts: string
}

/** Words a span in `spanIds`: id high, low, parent high, low (0, 0: none), 1 for an entry span. */
export const spanIdWords = 5

/** Above this many spans a set answers instead of a search through all ids. */
const SEARCH_SPANS_MAX = 32

/** The waits and limits that decide when a trace closes, milliseconds, spans, bytes and slices. */
export interface CloseRules {
  readonly quiet: number
  readonly rootless: number
  readonly openMax: number
  readonly maxSpans: number
  readonly maxBytes: number
  readonly maxRefs: number
}

/** One open trace of one partition. Times are log time on the partition's own scale. */
export class OpenTrace {
  readonly tenant: string
  readonly traceId: string
  readonly openedAtMs: number
  readonly slices: OpenSlice[] = []
  lastAtMs: number
  spanCount = 0
  duplicateSpans = 0
  byteCount = 0
  /** Characters of the slices' facts. */
  factCount = 0
  state: TraceState = 'rootless'
  /** When the schedule looks at it next; an older entry of the schedule is stale. */
  checkAtMs = Number.POSITIVE_INFINITY
  #ids = new Uint32Array(8 * spanIdWords)
  #distinct = 0
  #set: Set<number> | undefined

  constructor(tenant: string, traceId: string, openedAtMs: number) {
    this.tenant = tenant
    this.traceId = traceId
    this.openedAtMs = openedAtMs
    this.lastAtMs = openedAtMs
  }

  /** The oldest offset a restart must read again to have this trace whole. */
  get firstOffset(): number {
    return this.slices[0]?.offset ?? Number.POSITIVE_INFINITY
  }

  /** `spanIds` has {@link spanIdWords} big-endian words for each span of the slice. Borrowed. */
  addSlice(slice: OpenSlice, spanIds: Uint32Array, atMs: number): void {
    this.#addSlice(slice, atMs)
    for (let at = 0; at < slice.spanCount * spanIdWords; at += spanIdWords)
      this.#addSpan(spanIds, at)
  }

  /** The words of its distinct spans, {@link spanIdWords} each. A view: valid until the next slice. */
  get spanIds(): Uint32Array {
    return this.#ids.subarray(0, this.#distinct * spanIdWords)
  }

  /** As it was when a checkpoint was made of it: `spanIds` are of its distinct spans. */
  static restore(parts: {
    readonly tenant: string
    readonly traceId: string
    readonly openedAtMs: number
    readonly lastAtMs: number
    readonly slices: readonly OpenSlice[]
    readonly spanIds: Uint32Array
  }): OpenTrace {
    const { lastAtMs, spanIds } = parts
    const trace = new OpenTrace(parts.tenant, parts.traceId, parts.openedAtMs)
    for (const slice of parts.slices) trace.#addSlice(slice, lastAtMs)
    for (let at = 0; at < spanIds.length; at += spanIdWords) trace.#addSpan(spanIds, at)
    trace.duplicateSpans = trace.spanCount - trace.#distinct
    return trace
  }

  close(event: 'due' | 'over'): void {
    this.#move(event)
  }

  /** Lets go of all but its name, once its summary is durable. */
  release(): void {
    this.slices.length = 0
    this.#ids = noWords
    this.#set = undefined
    this.#distinct = 0
  }

  /** The limit that the trace has reached, if any. It closes at once and goes on as a fragment. */
  overLimit(rules: CloseRules): CloseReason | undefined {
    if (this.spanCount >= rules.maxSpans) return 'spans'
    if (this.byteCount >= rules.maxBytes || this.factCount >= summaryFactsMax) return 'bytes'
    return this.slices.length >= rules.maxRefs ? 'refs' : undefined
  }

  /**
   * When it is due if nothing more comes, and why. An entry span counts as the root, and its parent as
   * none of ours, once 2 × quiet have passed without it (design section 3).
   */
  due(rules: CloseRules): { readonly atMs: number; readonly reason: CloseReason } {
    const cap = this.openedAtMs + rules.openMax
    const quietAt = this.lastAtMs + rules.quiet
    const entryAt = this.lastAtMs + 2 * rules.quiet
    const missing = this.#missing()
    if (this.state === 'rooted' && missing.all === 0) return earliest(quietAt, 'root', cap)
    if (this.state === 'rooted' || missing.entries > 0) {
      if (missing.all === missing.entries) return earliest(entryAt, 'root', cap)
      if (this.state === 'rooted') return { atMs: cap, reason: 'long' }
    }
    return earliest(this.lastAtMs + rules.rootless, 'rootless', cap)
  }

  /** The first moment at which `due` could possibly say so: cheap, for the schedule. */
  earliestDueMs(rules: CloseRules): number {
    const wait = this.state === 'rooted' || this.#hasEntry() ? rules.quiet : rules.rootless
    return Math.min(this.lastAtMs + wait, this.openedAtMs + rules.openMax)
  }

  /**
   * Distinct parents that are named and not there when it closes for `reason`. None where it closes by
   * its root: what an entry span names is then a parent in somebody else's trace data.
   */
  missingParents(reason: CloseReason): number {
    if (reason === 'root') return 0
    const missing = new Set<bigint>()
    for (let span = 0; span < this.#distinct; span++) {
      const at = span * spanIdWords
      const high = this.#ids[at + 2] as number
      const low = this.#ids[at + 3] as number
      if ((high === 0 && low === 0) || this.#has(high, low)) continue
      missing.add((BigInt(high) << 32n) | BigInt(low))
    }
    return missing.size
  }

  #addSlice(slice: OpenSlice, atMs: number): void {
    this.slices.push(slice)
    this.byteCount += slice.length
    this.factCount += slice.facts.length
    this.spanCount += slice.spanCount
    this.lastAtMs = atMs
    this.#move('slice')
  }

  #addSpan(spanIds: Uint32Array, from: number): void {
    const high = spanIds[from] as number
    const low = spanIds[from + 1] as number
    if (this.#has(high, low)) {
      this.duplicateSpans++
      return
    }
    if (this.#distinct * spanIdWords === this.#ids.length) this.#grow()
    const at = this.#distinct++ * spanIdWords
    for (let word = 0; word < spanIdWords; word++)
      this.#ids[at + word] = spanIds[from + word] as number
    this.#set?.add(high * 2 ** 32 + low)
    if (this.#set === undefined && this.#distinct > SEARCH_SPANS_MAX) this.#set = this.#idSet()
    if (this.#ids[at + 2] === 0 && this.#ids[at + 3] === 0) this.#move('root')
  }

  #move(event: 'slice' | 'root' | 'due' | 'over'): void {
    const next = transitions[this.state][event]
    if (next === undefined) throw new TypeError(`a ${this.state} trace cannot take ${event}`)
    if (next !== 'forgotten') this.state = next
  }

  /** Spans whose parent is not there: in all, and those of them that are entry spans. */
  #missing(): { readonly all: number; readonly entries: number } {
    const ids = this.#ids
    let all = 0
    let entries = 0
    for (let span = 0; span < this.#distinct; span++) {
      const at = span * spanIdWords
      const high = ids[at + 2] as number
      const low = ids[at + 3] as number
      if (high === 0 && low === 0) continue
      if (this.#has(high, low)) continue
      all++
      entries += ids[at + 4] as number
    }
    return { all, entries }
  }

  #hasEntry(): boolean {
    for (let span = 0; span < this.#distinct; span++) {
      if (this.#ids[span * spanIdWords + 4] === 1) return true
    }
    return false
  }

  // A double cannot hold 64 bits: two ids may share a key here, at odds of 2^-53 a pair. The only harm
  // is a span counted as a duplicate here, or a trace that closes early; facts do not come from it.
  #idSet(): Set<number> {
    const set = new Set<number>()
    for (let span = 0; span < this.#distinct; span++) {
      const at = span * spanIdWords
      set.add((this.#ids[at] as number) * 2 ** 32 + (this.#ids[at + 1] as number))
    }
    return set
  }

  #has(high: number, low: number): boolean {
    if (this.#set !== undefined) return this.#set.has(high * 2 ** 32 + low)
    for (let at = 0; at < this.#distinct * spanIdWords; at += spanIdWords) {
      if (this.#ids[at] === high && this.#ids[at + 1] === low) return true
    }
    return false
  }

  #grow(): void {
    const wider = new Uint32Array(this.#ids.length * 2)
    wider.set(this.#ids)
    this.#ids = wider
  }
}

const noWords = new Uint32Array(0)

function earliest(
  atMs: number,
  reason: CloseReason,
  capMs: number,
): { readonly atMs: number; readonly reason: CloseReason } {
  return capMs < atMs ? { atMs: capMs, reason: 'long' } : { atMs, reason }
}
