// Hot: once a counting decision and once a slice of it.
import type { DecisionFacts } from '../decision-facts.ts'
import type { ChainFacts } from './chain-facts.ts'
import { DecisionEntry } from './decision-entry.ts'
import { LostSlices } from './lost-slices.ts'
import type { NamedSlices } from './named-slices.ts'
import type { Problem } from './problem.ts'
import { ProblemBook } from './problem-book.ts'
import { noSuchSlice, otherBytes, RecordBooks } from './record-books.ts'
import { SeriesAccounts } from './series-accounts.ts'
import { type SeriesTable, seriesDropped, seriesKept } from './series-table.ts'
import { sliceCheck } from './slice-check.ts'
import { SliceTable, sliceDoubled } from './slice-table.ts'
import { SpanIdSet } from './span-id-set.ts'
import type { TenantSums } from './tenant-sums.ts'

/**
 * The books of one partition: what `spans` holds against what the counting decisions say of it. Pure.
 *
 *   received            from the bytes: every span of every slice in the window. Where the books are kept
 *                       up with the log, of records that decisions name byte by byte: from their word,
 *                       see RecordBooks
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
  readonly problems = new ProblemBook()
  readonly records: RecordBooks
  readonly lost: LostSlices
  readonly #accounts: SeriesAccounts
  readonly #series: SeriesTable
  readonly #tenants: TenantSums
  readonly #seen = new SpanIdSet()

  constructor(partition: number, tenants: TenantSums, seed: number) {
    this.partition = partition
    this.#tenants = tenants
    this.#accounts = new SeriesAccounts(tenants, seed)
    this.#series = this.#accounts.table
    this.records = new RecordBooks(partition, this.slices, this.#accounts, this.problems, seed)
    this.lost = new LostSlices(tenants)
  }

  /** Series with slices in the window. */
  get series(): number {
    return this.#series.size
  }

  /** A counting decision. `chain`: what the records at `prev` have; undefined where nobody has them any more. */
  applyDecision(
    offset: number,
    head: DecisionFacts,
    named: NamedSlices,
    chain: ChainFacts | undefined,
  ): void {
    if (head.sliceCount === 0 && named.length === 0) return
    const table = this.#series
    const series = this.#accounts.seriesOf(head)
    this.#accounts.account(series, -1)
    this.#forgive(series)
    const entry = new DecisionEntry(this.partition, offset, head, named, series)
    this.#seen.clear()
    for (let at = 0; at < named.length; at++) this.#applySlice(entry, at, chain)
    table.verdict[series] = head.verdict === 'keep' ? seriesKept : seriesDropped
    table.spanCount[series] = head.spanCount
    table.duplicateSpans[series] = head.duplicateSpans
    if (head.prev !== null && chain === undefined) this.#believe(series, head)
    else this.#check(entry, chain)
    this.#accounts.account(series, 1)
    if (!this.#accounts.hasLive(series)) this.#accounts.close(series)
  }

  /** It counts, but what it says of its slices is no JSON. */
  addUnreadableDecision(offset: number, { tenant, traceId }: DecisionFacts): void {
    const { partition, slices } = this
    this.problems.report(`decision:${offset}`, {
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
    const to = Math.min(offset, slices.end)
    for (let at = slices.first; at < to; at++) {
      for (let row = slices.firstOf(at); row !== 0; row = slices.nextOf(row)) this.#expire(row)
    }
    slices.dropFront(offset)
    this.problems.expireBefore(offset)
  }

  /** Calls for every row of records below `end` that no series accounts for, record by record. */
  forEachUnaccounted(end: number, visit: (row: number) => void): void {
    const { slices } = this
    let left = slices.unaccounted
    for (let at = slices.first; left > 0; at++) {
      at = slices.nextUnaccounted(at, end)
      if (at >= end) return
      for (let row = slices.firstOf(at); row !== 0; row = slices.nextOf(row)) {
        if (slices.series[row] !== 0) continue
        visit(row)
        left--
      }
    }
  }

  /** Spans of records below `end`, appended before `ms`, that no series accounts for. */
  unaccountedBefore(ms: number, end: number): number {
    const { slices } = this
    let spans = 0
    this.forEachUnaccounted(Math.min(slices.records.offsetAt(ms), end), row => {
      spans += slices.spanCount[row] as number
    })
    return spans
  }

  #applySlice(entry: DecisionEntry, at: number, chain: ChainFacts | undefined): void {
    const { named, series } = entry
    const { slices } = this
    const offset = named.offset[at] as number
    const start = named.start[at] as number
    const spans = named.spanCount[at] as number
    const fresh = this.#freshOf(named, at, chain)
    entry.fresh += fresh
    entry.spans += spans
    if (offset < slices.first) {
      entry.outFresh += fresh
      entry.outRepeats += spans - fresh
      this.lost.takeBack(offset, start)
      return
    }
    const check = this.#checkOf(entry, at)
    let row = slices.find(offset, start)
    const isUnread = slices.records.isUnread(offset)
    if (row === 0 && isUnread) row = this.records.claim(entry, at, check)
    if (row === 0 || slices.check[row] !== check) {
      // Whose they are is seen once the record is read.
      if (isUnread) this.records.want(offset)
      const detail = row === 0 ? noSuchSlice : otherBytes
      this.problems.blame(
        this.#series.tenant[series] as number,
        entry.problem('foreign', at, spans, detail),
      )
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
      slices.account(row, series)
      this.#accounts.addLive(series, slices.spanCount[row] as number)
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
    this.problems.report(`slice:${problem.ref.offset}:${problem.ref.start}`, problem)
  }

  #freshOf(named: NamedSlices, slice: number, chain: ChainFacts | undefined): number {
    const { spanIds } = named
    let fresh = 0
    let at = 2 * (named.spanFrom[slice] as number)
    for (const end = at + 2 * (named.spanCount[slice] as number); at < end; at += 2) {
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
      named.spanCount[at] as number,
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
    this.problems.blame(
      table.tenant[series] as number,
      entry.problem('miscounted', named.length - 1, wrongBy, detail),
    )
  }

  /** Part of its chain has left `decisions`: what is in the window is taken from the bytes alone. */
  #believe(series: number, head: DecisionFacts): void {
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
      const tenant = slices.tenant[row] as number
      this.lost.add(tenant, slices.offset[row] as number, slices.start[row] as number, spans)
      return
    }
    const fresh = slices.fresh[row] as number
    sums.received -= spans
    this.#accounts.account(series, -1)
    table.outFresh[series] = (table.outFresh[series] as number) + fresh
    table.outRepeats[series] = (table.outRepeats[series] as number) + spans - fresh
    this.#accounts.takeLive(series, spans, fresh)
    this.#accounts.account(series, 1)
    if (!this.#accounts.hasLive(series)) this.#accounts.close(series)
  }

  #forgive(series: number): void {
    if (this.problems.isEmpty) return
    this.problems.forgive(this.#series.tenant[series] as number, this.#series.traceIdOf(series))
  }
}
