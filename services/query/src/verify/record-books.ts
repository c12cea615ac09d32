// Hot: once a slice of `spans`, and once a slice of every counting decision.
import type { SliceIds } from '@winnow/otlp'
import type { DecisionEntry } from './decision-entry.ts'
import type { ProblemBook } from './problem-book.ts'
import type { NumberedRun } from './record-columns.ts'
import type { SeriesAccounts } from './series-accounts.ts'
import { sliceCheck } from './slice-check.ts'
import { type SliceTable, sliceDoubled, sliceMet } from './slice-table.ts'

/**
 * What the records of `spans` hold: by their bytes, or on the word of decisions where those name every
 * byte of a record once. Whose word is not good is seen once the record is read: so that nothing has to
 * be taken on trust for ever, one record in {@link sampledOfRecords} is read all the same.
 */
export class RecordBooks {
  readonly slices: SliceTable
  readonly #partition: number
  readonly #accounts: SeriesAccounts
  readonly #problems: ProblemBook
  readonly #sample: number
  #wanted: number[] = []

  constructor(
    partition: number,
    slices: SliceTable,
    accounts: SeriesAccounts,
    problems: ProblemBook,
    seed: number,
  ) {
    this.slices = slices
    this.#partition = partition
    this.#accounts = accounts
    this.#problems = problems
    this.#sample = seed % sampledOfRecords
  }

  /** The record at `slices.end`, which has been read. `tenants`: by slice. */
  addRecord(appendedAtMs: number, scanned: SliceIds, tenants: ArrayLike<number>): void {
    const offset = this.slices.end
    this.slices.records.push(appendedAtMs)
    for (let at = scanned.slices - 1; at >= 0; at--) this.#addScanned(offset, scanned, at, tenants)
  }

  /** The record at `slices.end`, of which decisions are to say what it holds. */
  addUnread(appendedAtMs: number, length: number, runs: readonly NumberedRun[]): void {
    this.slices.records.pushUnread(appendedAtMs, length, runs)
  }

  /** What an unread record holds. Slices that decisions named otherwise, or that are not there, are foreign. */
  readRecord(offset: number, scanned: SliceIds, tenants: ArrayLike<number>): void {
    const { slices } = this
    for (let at = scanned.slices - 1; at >= 0; at--) {
      const known = slices.find(offset, scanned.start[at] as number)
      const isRight = known !== 0 && slices.check[known] === checkScanned(scanned, at, tenants)
      if (known !== 0 && !isRight) this.#disown(known, otherBytes)
      const row = isRight ? known : this.#addScanned(offset, scanned, at, tenants)
      slices.flags[row] = (slices.flags[row] as number) | sliceMet
    }
    for (let row = slices.firstOf(offset); row !== 0; ) {
      const next = slices.nextOf(row)
      const isMet = ((slices.flags[row] as number) & sliceMet) !== 0
      if (isMet) slices.flags[row] = (slices.flags[row] as number) & ~sliceMet
      else this.#disown(row, noSuchSlice)
      row = next
    }
    slices.records.setKnown(offset)
  }

  /** Offsets of unread records to be read now, oldest first; they are asked for once. */
  takeWanted(): number[] {
    const wanted = this.#wanted
    this.#wanted = []
    return wanted.sort((a, b) => a - b)
  }

  addUnreadable(appendedAtMs: number, detail: string): void {
    const offset = this.slices.end
    this.slices.records.push(appendedAtMs)
    this.blameRecord(offset, detail)
  }

  /** No receiver of ours composed the record. */
  blameRecord(offset: number, detail: string): void {
    this.#problems.report(`record:${offset}`, {
      problem: 'unreadable',
      tenant: null,
      traceId: null,
      ref: { partition: this.#partition, offset, start: 0, length: 0, spanCount: 0 },
      spans: 1,
      detail,
    })
  }

  /** The unread record has to be read: not all that decisions say of it can be right. */
  want(offset: number): void {
    this.#wanted.push(offset)
  }

  /** A slice of an unread record, on the word of the decision that names it. */
  claim({ named, series }: DecisionEntry, at: number, check: number): number {
    const { slices } = this
    const { records } = slices
    const offset = named.offset[at] as number
    const start = named.start[at] as number
    const bytes = named.byteLength[at] as number
    const spans = named.spanCount[at] as number
    const tenant = this.#accounts.table.tenant[series] as number
    const row = slices.add(offset, start, bytes, spans, check, tenant)
    this.#accounts.tenants.of(tenant).received += spans
    const length = records.lengthOf(offset)
    const all = records.addNamed(offset, bytes)
    const isOdd = all > length || start + bytes > length
    if (isOdd || (all === length && !this.#isProven(offset))) this.#wanted.push(offset)
    return row
  }

  /** Decisions name all that the record holds, and it is not one of the sample. */
  #isProven(offset: number): boolean {
    if (!this.slices.isTiled(offset) || offset % sampledOfRecords === this.#sample) return false
    this.slices.records.setKnown(offset)
    return true
  }

  /** The bytes do not hold what the decision named there. */
  #disown(row: number, detail: string): void {
    const { slices } = this
    const { table, tenants } = this.#accounts
    const tenant = slices.tenant[row] as number
    const spanCount = slices.spanCount[row] as number
    const series = (slices.series[row] as number) - 1
    const sums = tenants.of(tenant)
    sums.received -= spanCount
    if (((slices.flags[row] as number) & sliceDoubled) !== 0) sums.doubled -= spanCount
    const ref = {
      partition: this.#partition,
      offset: slices.offset[row] as number,
      start: slices.start[row] as number,
      length: slices.byteLength[row] as number,
      spanCount,
    }
    const fresh = slices.fresh[row] as number
    slices.remove(row)
    if (series < 0) return
    this.#accounts.takeLive(series, spanCount, fresh)
    const traceId = table.traceIdOf(series)
    const spans = Math.max(1, spanCount)
    const name = tenants.nameOf(tenant)
    this.#problems.blame(tenant, { problem: 'foreign', tenant: name, traceId, ref, spans, detail })
    if (!this.#accounts.hasLive(series)) this.#accounts.close(series)
  }

  #addScanned(offset: number, scanned: SliceIds, at: number, tenants: ArrayLike<number>): number {
    const tenant = tenants[at] as number
    const spanCount = scanned.spanCount[at] as number
    this.#accounts.tenants.of(tenant).received += spanCount
    return this.slices.add(
      offset,
      scanned.start[at] as number,
      scanned.byteLength[at] as number,
      spanCount,
      checkScanned(scanned, at, tenants),
      tenant,
    )
  }
}

/** One record in so many is read although decisions account for all of it. */
export const sampledOfRecords = 64

export const noSuchSlice = 'there is no such slice'
export const otherBytes = 'other bytes lie there than it describes'

function checkScanned(scanned: SliceIds, at: number, tenants: ArrayLike<number>): number {
  return sliceCheck(
    tenants[at] as number,
    scanned.byteLength[at] as number,
    scanned.traceIds,
    4 * at,
    scanned.spanIds,
    scanned.spanFrom[at] as number,
    scanned.spanCount[at] as number,
  )
}
