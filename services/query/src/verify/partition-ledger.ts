// Hot: once a slice of `spans`, once a counting decision and once a slice of it.
import type { DecisionHead } from '@winnow/model'
import type { SliceIds } from '@winnow/otlp'
import type { ChainFacts } from './chain-facts.ts'
import { DecisionEntry } from './decision-entry.ts'
import type { NamedSlices } from './named-slices.ts'
import { type Problem, problemsMax } from './problem.ts'
import { SeriesTable, seriesDropped, seriesKept } from './series-table.ts'
import { sliceCheck } from './slice-check.ts'
import { SliceTable, sliceDoubled } from './slice-table.ts'
import { SpanIdSet } from './span-id-set.ts'
import type { Sums, TenantSums } from './tenant-sums.ts'

/**
 * The books of one partition: what `spans` holds against what the counting decisions say of it. Pure.
 *
 *   received            from the bytes: every span of every slice in the window
 *   kept, dropped       from the last counting decision of every series: its `spanCount`, less the spans
 *   duplicate           that came first in slices outside of the window; its `duplicateSpans` likewise
 *
 * Received and accounted for come from different topics: where a fold lost a span, a decision or a
 * summary, they differ. So that two mistakes cannot hide each other, each decision is also checked
 * by itself: the spans whose ids its slices state have to be those in the bytes, and as many distinct
 * ones as it says.
 *
 * A keep that is `gone` counts as kept: its verdict is keep, and what is asked here is whether every
 * span was decided. Whether the writer wrote it is another question (the segments' ledger answers it).
 */
export class PartitionLedger {
  readonly partition: number
  readonly slices = new SliceTable()
  readonly #series: SeriesTable
  readonly #tenants: TenantSums
  readonly #seen = new SpanIdSet()
  readonly #words = new Uint32Array(4)
  /** By series or by place; the first of each. */
  readonly #problems = new Map<string, Problem>()
  /** Slices that retention passed undecided: a late decision takes them back. */
  readonly #lost = new Map<string, { readonly tenant: number; readonly spans: number }>()
  /** Offsets that retention passed before the assembler was known to have read them. */
  readonly #unread = new Set<number>()
  #problemsBeyond = 0
  /** No row before it is without a series. */
  #settled = 0

  constructor(partition: number, tenants: TenantSums, seed: number) {
    this.partition = partition
    this.#tenants = tenants
    this.#series = new SeriesTable(seed)
  }

  get problems(): readonly Problem[] {
    return [...this.#problems.values()]
  }

  /** Problems that are counted and not remembered. */
  get problemsBeyond(): number {
    return this.#problemsBeyond
  }

  /** Series with slices in the window. */
  get series(): number {
    return this.#series.size
  }

  /** Records that retention passed unread: their spans are unknown, each counts as one. */
  get unreadRecords(): number {
    return this.#unread.size
  }

  /** The record at `slices.end`. `tenants`: by slice. */
  addRecord(appendedAtMs: number, scanned: SliceIds, tenants: ArrayLike<number>): void {
    this.slices.openRecord(appendedAtMs)
    for (let at = 0; at < scanned.slices; at++) {
      const tenant = tenants[at] as number
      const spanCount = scanned.spanCount[at] as number
      const check = sliceCheck(
        tenant,
        scanned.byteLength[at] as number,
        scanned.traceIds,
        4 * at,
        scanned.spanIds,
        scanned.spanFrom[at] as number,
        spanCount,
      )
      this.slices.addSlice(scanned.start[at] as number, spanCount, check, tenant)
      this.#tenants.of(tenant).received += spanCount
    }
  }

  addUnreadable(appendedAtMs: number, detail: string): void {
    const offset = this.slices.end
    this.slices.openRecord(appendedAtMs)
    this.#report(`record:${offset}`, {
      problem: 'unreadable',
      tenant: null,
      traceId: null,
      ref: { partition: this.partition, offset, start: 0, length: 0, spanCount: 0 },
      spans: 1,
      detail,
    })
  }

  /** A counting decision. `chain`: what the records at `prev` have; undefined where nobody has them any more. */
  applyDecision(
    offset: number,
    head: DecisionHead,
    named: NamedSlices,
    chain: ChainFacts | undefined,
  ): void {
    if (head.sliceCount === 0 && named.length === 0) return
    const table = this.#series
    const series = this.#seriesOf(head)
    this.#account(series, -1)
    this.#forgive(series)
    const entry = new DecisionEntry(this.partition, offset, head, named, series)
    this.#seen.clear()
    for (let at = 0; at < named.length; at++) this.#applySlice(entry, at, chain)
    table.verdict[series] = head.verdict === 'keep' ? seriesKept : seriesDropped
    table.spanCount[series] = head.spanCount
    table.duplicateSpans[series] = head.duplicateSpans
    if (head.prev !== null && chain === undefined) this.#believe(series, head)
    else this.#check(entry, chain)
    this.#account(series, 1)
    if (table.liveSlices[series] === 0) this.#close(series)
  }

  /** It counts, but what it says of its slices is no JSON. */
  addUnreadableDecision(offset: number, { tenant, traceId }: DecisionHead): void {
    const { partition, slices } = this
    this.#report(`decision:${offset}`, {
      problem: 'unreadable',
      tenant,
      traceId,
      ref: { partition, offset: slices.end, start: 0, length: 0, spanCount: 0 },
      decision: { partition, offset },
      spans: 1,
      detail: 'the slices of a counting decision cannot be read',
    })
  }

  /** What lies below `offset` has left the window. */
  expireBefore(offset: number): void {
    const { slices } = this
    const to = slices.rowsBelow(offset)
    for (let row = slices.head; row < to; row++) this.#expire(row)
    this.#settled = Math.max(this.#settled, to)
    const before = slices.rows
    slices.dropFront(offset)
    this.#settled -= before - slices.rows
    for (const [key, { ref }] of this.#problems) {
      if (ref.offset < offset) this.#problems.delete(key)
    }
  }

  /** Nobody has read [from, to): retention passed it. Decisions that name one of its records take that back. */
  passUnread(from: number, to: number): void {
    for (let offset = from; offset < to && this.#unread.size < unreadMax; offset++) {
      this.#unread.add(offset)
    }
  }

  /** The first row from `from` on that no series accounts for; `slices.rows`: there is none. */
  nextUnaccounted(from: number): number {
    const { series, rows } = this.slices
    let row = Math.max(from, this.#settled)
    while (row < rows && series[row] !== 0) row++
    if (from <= this.#settled) this.#settled = row
    return row
  }

  /** Spans of records appended before `ms` that no series accounts for, and those of every problem. */
  imbalanceBefore(ms: number): number {
    const { slices } = this
    const to = slices.rowsBefore(ms)
    let spans = this.#problemsBeyond
    for (const problem of this.#problems.values()) spans += problem.spans
    for (let row = this.nextUnaccounted(slices.head); row < to; ) {
      spans += slices.spanCount[row] as number
      row = this.nextUnaccounted(row + 1)
    }
    return spans
  }

  #seriesOf(head: DecisionHead): number {
    const tenant = this.#tenants.numberOf(head.tenant)
    const words = this.#words
    for (let word = 0; word < 4; word++) {
      words[word] = Number.parseInt(head.traceId.slice(8 * word, 8 * word + 8), 16)
    }
    const origin = originOf(head)
    const known = this.#series.find(words, tenant)
    const isSame = known >= 0 && head.revision > 1 && this.#series.origin[known] === origin
    if (isSame) return known
    const series = this.#series.open(words, tenant, head.verdict)
    this.#series.origin[series] = origin
    return series
  }

  /** Adds (1) or takes back (-1) what the series says of its slices in the window. */
  #account(series: number, sign: 1 | -1): void {
    const table = this.#series
    const sums = this.#tenants.of(table.tenant[series] as number)
    const spans = (table.spanCount[series] as number) - (table.outFresh[series] as number)
    if (table.verdict[series] === seriesKept) sums.kept += sign * spans
    else sums.dropped += sign * spans
    const repeats = (table.duplicateSpans[series] as number) - (table.outRepeats[series] as number)
    sums.duplicate += sign * repeats
  }

  #applySlice(entry: DecisionEntry, at: number, chain: ChainFacts | undefined): void {
    const { named, series } = entry
    const { slices } = this
    const offset = named.offset[at] as number
    const start = named.start[at] as number
    const spans = named.ids[at] as number
    const fresh = this.#freshOf(named, at, chain)
    entry.fresh += fresh
    entry.spans += spans
    if (offset < slices.first) {
      entry.outFresh += fresh
      entry.outRepeats += spans - fresh
      this.#takeBack(offset, start)
      return
    }
    const row = slices.find(offset, start)
    if (row < 0 || slices.check[row] !== this.#checkOf(entry, at)) {
      const detail = row < 0 ? 'there is no such slice' : 'other bytes lie there than it describes'
      this.#blame(series, entry.problem('foreign', at, spans, detail))
      return
    }
    const owner = (slices.series[row] as number) - 1
    const isTwice = at > 0 && offset === named.offset[at - 1] && start === named.start[at - 1]
    if (isTwice) this.#double(row, entry.problem('doubled', at, spans, 'one record names it twice'))
    else if (owner >= 0 && owner !== series) {
      const detail = `trace ${this.#series.traceIdOf(owner)} accounts for it too`
      this.#double(row, entry.problem('doubled', at, spans, detail))
    } else this.#mark(series, row, owner < 0, fresh)
  }

  #mark(series: number, row: number, isNew: boolean, fresh: number): void {
    const { slices } = this
    const table = this.#series
    if (isNew) {
      slices.series[row] = series + 1
      table.liveSlices[series] = (table.liveSlices[series] as number) + 1
      table.liveSpans[series] =
        (table.liveSpans[series] as number) + (slices.spanCount[row] as number)
    }
    const before = isNew ? 0 : (slices.fresh[row] as number)
    slices.fresh[row] = fresh
    table.liveFresh[series] = (table.liveFresh[series] as number) + fresh - before
  }

  #double(row: number, problem: Problem): void {
    const { flags, spanCount, tenant } = this.slices
    if (((flags[row] as number) & sliceDoubled) === 0) {
      flags[row] = (flags[row] as number) | sliceDoubled
      this.#tenants.of(tenant[row] as number).doubled += spanCount[row] as number
    }
    this.#report(`slice:${problem.ref.offset}:${problem.ref.start}`, problem)
  }

  #freshOf(named: NamedSlices, slice: number, chain: ChainFacts | undefined): number {
    const { spanIds } = named
    let fresh = 0
    let at = 2 * (named.spanFrom[slice] as number)
    for (const end = at + 2 * (named.ids[slice] as number); at < end; at += 2) {
      const high = spanIds[at] as number
      const low = spanIds[at + 1] as number
      if (chain?.ids.has(high, low)) continue
      if (this.#seen.add(high, low)) fresh++
    }
    return fresh
  }

  #checkOf({ named, series }: DecisionEntry, at: number): number {
    return sliceCheck(
      this.#series.tenant[series] as number,
      named.byteLength[at] as number,
      this.#series.ids,
      4 * series,
      named.spanIds,
      named.spanFrom[at] as number,
      named.ids[at] as number,
    )
  }

  /** What the decision says of itself against what its slices state, and against the bytes. */
  #check(entry: DecisionEntry, chain: ChainFacts | undefined): void {
    const table = this.#series
    const { head, named, series } = entry
    const before = chain?.below(this.slices.first)
    table.outFresh[series] = entry.outFresh + (before?.fresh ?? 0)
    table.outRepeats[series] = entry.outRepeats + (before?.repeats ?? 0)
    // Of what lies wholly before the window nothing can be said by the bytes, and nothing is counted.
    if (table.liveSlices[series] === 0) return
    const distinct = entry.fresh + (chain?.ids.size ?? 0)
    const spans = entry.spans + (chain?.spans ?? 0)
    const slices = named.length + (chain?.slices ?? 0)
    const out = (table.outFresh[series] as number) + (table.outRepeats[series] as number)
    const held = out + (table.liveSpans[series] as number)
    const stated = head.spanCount + head.duplicateSpans
    const isRight =
      distinct === head.spanCount &&
      spans === stated &&
      held === spans &&
      slices === head.sliceCount
    if (isRight) return
    const detail =
      `it says ${head.spanCount} spans and ${head.duplicateSpans} duplicates in ${head.sliceCount} slices; ` +
      `they are ${distinct} and ${spans - distinct} in ${slices}, and the bus has ${held} spans of them`
    const wrongBy = Math.abs(stated - held) + Math.abs(distinct - head.spanCount)
    // By its last slice, so that the problem leaves the window with the series.
    this.#blame(series, entry.problem('miscounted', named.length - 1, wrongBy, detail))
  }

  /** Part of its chain has left `decisions`: what is in the window is taken from the bytes alone. */
  #believe(series: number, head: DecisionHead): void {
    const table = this.#series
    const liveFresh = table.liveFresh[series] as number
    const liveRepeats = (table.liveSpans[series] as number) - liveFresh
    table.outFresh[series] = Math.max(0, head.spanCount - liveFresh)
    table.outRepeats[series] = Math.max(0, head.duplicateSpans - liveRepeats)
  }

  #expire(row: number): void {
    const { slices } = this
    const table = this.#series
    const spans = slices.spanCount[row] as number
    const sums = this.#tenants.of(slices.tenant[row] as number)
    const series = (slices.series[row] as number) - 1
    if (((slices.flags[row] as number) & sliceDoubled) !== 0) sums.doubled -= spans
    if (series < 0) {
      sums.lostToRetention += spans
      if (this.#lost.size < lostMax) {
        const key = `${slices.offsetOf(row)}:${slices.start[row]}`
        this.#lost.set(key, { tenant: slices.tenant[row] as number, spans })
      }
      return
    }
    const fresh = slices.fresh[row] as number
    sums.received -= spans
    this.#account(series, -1)
    table.outFresh[series] = (table.outFresh[series] as number) + fresh
    table.outRepeats[series] = (table.outRepeats[series] as number) + spans - fresh
    table.liveSlices[series] = (table.liveSlices[series] as number) - 1
    table.liveSpans[series] = (table.liveSpans[series] as number) - spans
    table.liveFresh[series] = (table.liveFresh[series] as number) - fresh
    this.#account(series, 1)
    if (table.liveSlices[series] === 0) this.#close(series)
  }

  #close(series: number): void {
    this.#account(series, -1)
    this.#series.close(series)
  }

  #takeBack(offset: number, start: number): void {
    this.#unread.delete(offset)
    if (this.#lost.size === 0) return
    const key = `${offset}:${start}`
    const lost = this.#lost.get(key)
    if (lost === undefined) return
    this.#lost.delete(key)
    const sums: Sums = this.#tenants.of(lost.tenant)
    sums.lostToRetention -= lost.spans
    sums.received -= lost.spans
  }

  #blame(series: number, problem: Problem): void {
    this.#report(`trace:${this.#series.tenant[series]}:${problem.traceId}`, problem)
  }

  #report(key: string, problem: Problem): void {
    if (this.#problems.has(key)) return
    if (this.#problems.size < problemsMax) this.#problems.set(key, problem)
    else this.#problemsBeyond++
  }

  /** What was wrong with its last decision is not with the next one. */
  #forgive(series: number): void {
    if (this.#problems.size === 0) return
    const traceId = this.#series.traceIdOf(series)
    this.#problems.delete(`trace:${this.#series.tenant[series]}:${traceId}`)
  }
}

/** Slices that retention passed undecided, remembered one by one; beyond them they only count. */
const lostMax = 10_000

/** Records that retention passed unread, likewise. */
const unreadMax = 1_000_000

/** A series that goes on with a trace repeats where the one before ended; 0: it is not such a one. */
function originOf({ seriesFrom }: DecisionHead): number {
  if (seriesFrom === undefined) return 0
  return (Math.imul(seriesFrom.offset, 0x9e3779b1) ^ seriesFrom.start) >>> 0 || 1
}
