import { type Bus, type BusRecord, type RecordHead, reusedMemory } from '@winnow/bus'
import { decodeTenantRuns, slicesText, type TenantRun } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { ChainReader } from './chain-reader.ts'
import { DecisionTail } from './decision-tail.ts'
import { NamedSlices } from './named-slices.ts'
import { PartitionLedger } from './partition-ledger.ts'
import { PassedStages } from './passed-stages.ts'
import type { NumberedRun } from './record-columns.ts'
import { RecordScan } from './record-scan.ts'
import { sliceEntitled } from './slice-table.ts'
import type { TenantSums } from './tenant-sums.ts'

export interface VerifierOptions {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: { readonly spans: string; readonly evidence: string; readonly decisions: string }
  /** The groups whose positions say what is still on its way. */
  readonly groups: { readonly assembler: string; readonly sampler: string }
  readonly tenants: TenantSums
  /** Slices of a partition that are held at most. */
  readonly slicesMax: number
  /** Over it the window becomes shorter (`slide`), or there is no answer (`refuse`): QUOTA_EXCEEDED. */
  readonly overMax: 'slide' | 'refuse'
  /**
   * `all`: every record's bytes say what it holds. `undecided`: of a record that decisions name byte by
   * byte only its head is looked at, see RecordBooks; the others are read when they are due.
   */
  readonly reads: 'all' | 'undecided'
  /** 32 random bits. */
  readonly seed: number
}

/** What is undecided in a partition, by tenant: spans that are on their way, and such that should be decided. */
export interface Undecided {
  readonly pending: ReadonlyMap<number, number>
  readonly missing: ReadonlyMap<number, number>
  readonly missingSlices: ReadonlyMap<number, number>
  /** Where the first missing slices of every tenant lie. */
  readonly missingAt: readonly MissingAt[]
}

export interface MissingAt {
  readonly tenant: number
  readonly offset: number
  readonly start: number
}

/** Keeps the ledger of one partition in step with the topics. One call at a time. */
export class PartitionVerifier {
  readonly ledger: PartitionLedger
  readonly decisions: DecisionTail
  readonly #options: VerifierOptions
  readonly #chains: ChainReader
  readonly #scan: RecordScan
  readonly #named = new NamedSlices()
  /** All of `spans` passes through it, a batch at a time. */
  readonly #memory = reusedMemory()
  readonly #passed: PassedStages
  #hasBegun = false
  #target = 0
  #isShort = false

  constructor(options: VerifierOptions, partition: number) {
    const { bus, topics, tenants, seed } = options
    this.#options = options
    this.ledger = new PartitionLedger(partition, tenants, seed)
    this.decisions = new DecisionTail(bus, topics.decisions, partition)
    this.#chains = new ChainReader(bus, topics.decisions, partition)
    this.#scan = new RecordScan(tenants)
    this.#passed = new PassedStages(options, partition)
  }

  /** Offsets of `spans` that have been read, and those there were when it was last looked. */
  get progress(): { readonly done: number; readonly of: number } {
    return { done: this.ledger.slices.end, of: Math.max(this.#target, this.ledger.slices.end) }
  }

  /** The window is shorter than what is retained, because of `slicesMax`. */
  get isShort(): boolean {
    return this.#isShort
  }

  /** Takes all that is in the log at the call. `onRead` learns of every record of `spans`. */
  async advance(onRead?: (records: number) => void): Promise<void> {
    const { bus, topics } = this.#options
    const { ledger } = this
    const { partition, slices } = ledger
    // In this order: no decision below its end then names a slice beyond the end of `spans`.
    const decided = await bus.bounds(topics.decisions, partition)
    const memory = this.#memory
    const { first, end } = await bus.bounds(topics.spans, partition)
    this.#target = end
    if (!this.#hasBegun) await this.#begin(first)
    await this.#expireBefore(Math.min(first, slices.end))
    for (let isAllRead = false; ; ) {
      isAllRead ||= slices.end >= end
      await this.#decide(decided.end, isAllRead)
      // Before more is read: a partition that is over its limit must not grow by being asked.
      if (slices.size > this.#options.slicesMax) await this.#readWanted()
      this.#limit()
      if (isAllRead) break
      const heads = this.#addHeads()
      onRead?.(heads)
      if (heads > 0) continue
      const batch = await bus.read(topics.spans, partition, slices.end, readBytesMax, 0, memory)
      if (batch.gap !== undefined) await this.#skip(batch.gap.to)
      for (const record of batch.records) this.#add(record)
      onRead?.(batch.records.length)
      isAllRead = batch.records.length === 0
    }
    await this.#readWanted()
  }

  /** Of records that decisions account for, those that are looked at all the same. */
  async #readWanted(): Promise<void> {
    const wanted = this.ledger.records.takeWanted()
    if (wanted.length > 0) await this.#readUnread(from => firstFrom(wanted, from))
  }

  /**
   * Spans of records appended before `ms` that are in no decision although both stages have passed them, and those of
   * every problem. Unlike {@link settle} it reads no evidence, see {@link PassedStages}: a stage that is behind, for
   * however long, is no imbalance.
   */
  async imbalance(ms: number): Promise<number> {
    const { ledger } = this
    await this.#readOverdue(ms)
    if (ledger.unaccountedBefore(ms, Number.POSITIVE_INFINITY) === 0) return ledger.problems.spans
    const dueTo = await this.#passed.look()
    // What the stages had done by then lies in the log now.
    await this.advance()
    return ledger.problems.spans + ledger.unaccountedBefore(ms, dueTo)
  }

  /** Reads what no decision has named of records appended before `ms`. */
  async #readOverdue(ms: number): Promise<void> {
    const { records } = this.ledger.slices
    await this.#readUnread(from => records.nextUnread(from, ms))
    this.#limit()
  }

  /**
   * What of the window no decision names. A slice below the assembler's position lies in a summary that
   * was acknowledged before: so whatever lay in `evidence` when that position had been read holds it. If
   * the sampler has committed that summary, then its decision was read back before. Hence a slice is
   * missing exactly if it lies below the position, evidence not yet committed does not name it, and no
   * counting decision does. Each figure is read before the log that has to contain what follows from it.
   */
  async settle(): Promise<Undecided> {
    const { bus, topics, groups } = this.#options
    const { slices, partition } = this.ledger
    const assembled = await bus.committed(topics.spans, groups.assembler, partition)
    const evidence = await bus.bounds(topics.evidence, partition)
    const sampled = await bus.committed(topics.evidence, groups.sampler, partition)
    await this.advance()
    await this.#readOverdue(Number.POSITIVE_INFINITY)
    const dueTo = assembled?.offset ?? slices.first
    let isAnyDue = false
    this.ledger.forEachUnaccounted(dueTo, row => {
      isAnyDue = true
      slices.flags[row] = (slices.flags[row] as number) & ~sliceEntitled
    })
    if (isAnyDue) await this.#entitle(sampled?.offset ?? evidence.first, evidence.end)
    return this.#undecided(dueTo)
  }

  #undecided(dueTo: number): Undecided {
    const { slices } = this.ledger
    const pending = new Map<number, number>()
    const missing = new Map<number, number>()
    const missingSlices = new Map<number, number>()
    const missingAt: MissingAt[] = []
    this.ledger.forEachUnaccounted(slices.end, row => {
      const tenant = slices.tenant[row] as number
      const offset = slices.offset[row] as number
      const isDue = offset < dueTo && ((slices.flags[row] as number) & sliceEntitled) === 0
      const sums = isDue ? missing : pending
      sums.set(tenant, (sums.get(tenant) ?? 0) + (slices.spanCount[row] as number))
      if (!isDue) return
      const before = missingSlices.get(tenant) ?? 0
      missingSlices.set(tenant, before + 1)
      if (before >= missingNamedMax) return
      missingAt.push({ tenant, offset, start: slices.start[row] as number })
    })
    return { pending, missing, missingSlices, missingAt }
  }

  async #begin(first: number): Promise<void> {
    this.ledger.slices.restart(first)
    await this.#unread(0, first)
    this.#hasBegun = true
  }

  /** Retention was faster than this reader. */
  async #skip(to: number): Promise<void> {
    const from = this.ledger.slices.end
    await this.#expireBefore(from)
    this.ledger.slices.restart(to)
    await this.#unread(from, to)
  }

  /** Of [from, to), which is gone, the assembler may not have read what lies behind its position. */
  async #unread(from: number, to: number): Promise<void> {
    const { bus, topics, groups } = this.#options
    const { partition } = this.ledger
    const position = await bus.committed(topics.spans, groups.assembler, partition)
    if (position !== undefined) this.ledger.lost.passUnread(Math.max(from, position.offset), to)
  }

  /** What lies below `offset` is gone; of unread records it held what no decision had named is unknown. */
  async #expireBefore(offset: number): Promise<void> {
    const { records, first } = this.ledger.slices
    const { bus, topics, groups } = this.#options
    const { partition } = this.ledger
    const unread = records.nextUnread(first, Number.POSITIVE_INFINITY)
    if (unread !== undefined && unread < offset) {
      const position = await bus.committed(topics.spans, groups.assembler, partition)
      for (let at = unread; at < offset && position !== undefined; at++) {
        if (at >= position.offset && records.isUnread(at)) this.ledger.lost.passUnread(at, at + 1)
      }
    }
    this.ledger.expireBefore(offset)
  }

  /** Of the next records those whose values nobody needs, as far as the bus has them at hand. */
  #addHeads(): number {
    if (this.#options.reads !== 'undecided') return 0
    const { bus, topics } = this.#options
    const { partition, slices } = this.ledger
    const heads = bus.heads?.(topics.spans, partition, slices.end) ?? []
    const value = heads.findIndex(head => !this.#addHead(head))
    return value < 0 ? heads.length : value
  }

  /** False, and nothing is added, where the bytes have to be looked at. */
  #addHead({ offset, appendedAtMs, valueBytes, header }: RecordHead): boolean {
    const { slices, records } = this.ledger
    const runs = header === undefined ? undefined : decodeTenantRuns(header)
    if (runs === undefined || !areAll(runs, valueBytes)) return false
    // A hole without a gap: the records are not there, and nobody will ever read them.
    while (slices.end < offset) slices.records.push(appendedAtMs)
    const numbered = this.#numbered(runs)
    if (numbered !== undefined) records.addUnread(appendedAtMs, valueBytes, numbered)
    else records.addUnreadable(appendedAtMs, 'too many tenants (tenantsMax)')
    return true
  }

  #add(record: BusRecord): void {
    const { slices, records } = this.ledger
    const { offset, appendedAtMs, value, header } = record
    const isUndecided = this.#options.reads === 'undecided'
    if (isUndecided && this.#addHead({ ...record, valueBytes: value.length })) return
    while (slices.end < offset) slices.records.push(appendedAtMs)
    const runs = header === undefined ? undefined : decodeTenantRuns(header)
    const problem = this.#scan.read(value, runs)
    if (problem === undefined)
      records.addRecord(appendedAtMs, this.#scan.slices, this.#scan.tenantOf)
    else records.addUnreadable(appendedAtMs, problem)
  }

  #numbered(runs: readonly TenantRun[]): NumberedRun[] | undefined {
    try {
      return runs.map(({ tenant, start, length }) => {
        return { tenant: this.#options.tenants.numberOf(tenant), start, length }
      })
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      return undefined
    }
  }

  /** Of unread records those that `next` names: the first at or after an offset. */
  async #readUnread(next: (from: number) => number | undefined): Promise<void> {
    const { bus, topics } = this.#options
    const { partition, slices } = this.ledger
    for (let from = next(slices.first); from !== undefined; ) {
      // Alone where its neighbour is not wanted: what lies behind it would be read for nothing.
      const bytesMax = next(from + 1) === from + 1 ? readBytesMax : 1
      const batch = await bus.read(topics.spans, partition, from, bytesMax, 0)
      let end = from + 1
      for (const record of batch.records) {
        end = record.offset + 1
        if (next(record.offset) === record.offset) this.#readBody(record)
      }
      // What was not among them can be read no more.
      for (let at = from; at < end; at++) {
        if (next(at) !== at || !slices.records.isUnread(at)) continue
        await this.#unread(at, at + 1)
        slices.records.setKnown(at)
      }
      from = next(end)
    }
  }

  #readBody({ offset, value, header }: BusRecord): void {
    const { slices, records } = this.ledger
    if (!slices.records.isUnread(offset)) return
    const runs = header === undefined ? undefined : decodeTenantRuns(header)
    const problem = this.#scan.read(value, runs)
    if (problem !== undefined) records.blameRecord(offset, problem)
    records.readRecord(offset, this.#scan.slices, this.#scan.tenantOf)
  }

  /** Applies decisions below `end`; one that names a slice not yet read waits, unless all are read. */
  async #decide(end: number, isAllRead: boolean): Promise<void> {
    const { ledger } = this
    for (;;) {
      const item = await this.decisions.peek(end)
      if (item === undefined) return
      const { slices } = item
      const isLegible = slices !== undefined && this.#named.read(slices)
      if (!isAllRead && this.#named.lastOffset >= ledger.slices.end) return
      const { offset, record } = item
      const isChained = isLegible && record.prev !== null
      // Before it is taken: where the bus is away the decision is asked for again.
      const chain = isChained ? await this.#chains.at(record.prev) : undefined
      this.decisions.take(item)
      if (isLegible) ledger.applyDecision(offset, record, this.#named, chain)
      else ledger.addUnreadableDecision(offset, record)
    }
  }

  #limit(): void {
    const { slicesMax, overMax } = this.#options
    const { slices, partition } = this.ledger
    if (slices.size <= slicesMax) return
    const { first, records } = slices
    let excess = slices.size - slicesMax
    let offset = first
    // Whole records: the one that holds the first slice to stay does too.
    while (records.rowsOf(offset) <= excess) excess -= records.rowsOf(offset++)
    const end = excess > 0 ? offset + 1 : offset
    const isUndecided =
      slices.nextUnaccounted(first, end) < end ||
      (records.nextUnread(first, Number.POSITIVE_INFINITY) ?? end) < end
    if (overMax === 'refuse' || isUndecided) {
      const what = `partition ${partition} holds more than ${slicesMax} slices`
      throw new PipelineError(
        'QUOTA_EXCEEDED',
        overMax === 'refuse'
          ? `${what}; raise query.verifySlicesMax (about 100 bytes each)`
          : `${what} of which the oldest wait for a decision; see why the sampler lags, or raise query.verifySlicesMax`,
      )
    }
    this.ledger.expireBefore(offset)
    this.#isShort = true
  }

  /** Marks the slices that summaries in [from, to) of `evidence` name. */
  async #entitle(from: number, to: number): Promise<void> {
    const { bus, topics } = this.#options
    const { partition, slices } = this.ledger
    for (let next = from; next < to; ) {
      const batch = await bus.read(topics.evidence, partition, next, readBytesMax, 0)
      if (batch.records.length === 0) return
      for (const { offset, value } of batch.records) {
        next = offset + 1
        const text = slicesText(Buffer.from(value).toString())
        if (text === undefined || !this.#named.read(text)) continue
        for (let at = 0; at < this.#named.length; at++) {
          const row = slices.find(this.#named.offset[at] as number, this.#named.start[at] as number)
          if (row !== 0) slices.flags[row] = (slices.flags[row] as number) | sliceEntitled
        }
      }
    }
  }
}

/** The first of the sorted offsets at or after `from`. */
function firstFrom(offsets: readonly number[], from: number): number | undefined {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((offsets[middle] as number) < from) low = middle + 1
    else high = middle
  }
  return offsets[low]
}

/** Whether the runs are all bytes of the value, one behind the other; a value without any is no such. */
function areAll(runs: readonly TenantRun[], bytes: number): boolean {
  let end = 0
  for (const { start, length } of runs) {
    if (start !== end || length < 0) return false
    end += length
  }
  return end === bytes && bytes > 0
}

/** Bytes of one read of a topic. */
const readBytesMax = 1024 * 1024

/** Missing slices of a tenant and partition that are named. */
export const missingNamedMax = 20
