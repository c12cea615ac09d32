import type { DecisionHead } from '@winnow/model'
import { isRetryable, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  dateOf,
  decisionOf,
  findLedgerRow,
  type IdIndexName,
  idIndexFileOf,
  idIndexKey,
  type LedgerPlace,
  type ListedIdIndex,
  type ListedSegment,
  listIdIndexes,
  listLedgerMonth,
  listSegments,
  lookUpInIdIndex,
  openIdIndex,
  readLedgerRow,
} from '@winnow/storage'
import { FileCache } from './file-cache.ts'
import { Recent } from './recent.ts'
import type { Search } from './searched.ts'

/** Memory of footers of index files, which never change, and of small ones whole. */
export const footersBytesMax = 32 * 1024 * 1024

/** Days whose decisions the log and the sampler's index have: without an index they are not read one by one. */
export const rememberedDays = 3

/** How often the indexes are listed again, where one went as it was read: the writer had made it part of another. */
const listsMax = 3

/**
 * How long a list of what a look-up stands on is good for: indexes come once a day, snapshots every few minutes,
 * and what is younger is in the log.
 */
export const listsKeptMs = 2_000

const dayMs = 86_400_000

export interface LedgerSearchOptions {
  readonly blobs: BlobStore
  /** Of a trace id, among the partitions of `decisions`. */
  readonly partitionOf: (traceId: string) => number
  /** Files of indexes, and segments without one, that a request looks into. */
  readonly daysMax: number
  readonly nowMs: () => number
}

/** A decision, and the segment of the ledger that has it. */
export interface Logged {
  readonly decision: DecisionHead
  readonly segment: string
}

/** Whose decision is wanted, of which days. */
export interface Wanted {
  readonly tenant: string
  readonly traceId: string
  /** UTC: only what segments of earlier days have; undefined: of any. */
  readonly before: string | undefined
}

interface LoggedOn extends Logged {
  readonly date: string
  readonly logId: string
}

/**
 * Finds the last decision that the ledger has of a trace: by the id indexes, which are few, newest first; then,
 * of days that no index covers because somebody has deleted it, by the bloom filters of their segments.
 */
export class LedgerSearch {
  readonly #options: LedgerSearchOptions
  readonly #files = new FileCache(footersBytesMax)
  readonly #indexes: Recent<ListedIdIndex[]>
  readonly #oldestDay: Recent<string | undefined>

  constructor(options: LedgerSearchOptions) {
    this.#options = options
    this.#indexes = new Recent(listsKeptMs, options.nowMs)
    this.#oldestDay = new Recent(listsKeptMs, options.nowMs)
  }

  get files(): FileCache {
    return this.#files
  }

  async find(wanted: Wanted, search: Search): Promise<Logged | undefined> {
    for (let lists = 1; lists <= listsMax; lists++) {
      try {
        return await this.#find(wanted, search)
      } catch (error) {
        if (!(error instanceof IndexGone)) throw error
        this.#indexes.forget(`${this.#options.partitionOf(wanted.traceId)}`)
      }
    }
    throw new PipelineError('STORE_UNAVAILABLE', 'id indexes were made anew as they were read')
  }

  async #find(wanted: Wanted, search: Search): Promise<Logged | undefined> {
    const { blobs, partitionOf, daysMax, nowMs } = this.#options
    const partition = partitionOf(wanted.traceId)
    const indexes = await this.#indexes.of(`${partition}`, () => listIdIndexes(blobs, partition))
    const budget = { left: daysMax }
    const found = await this.#inIndexes(indexes, wanted, search, budget)
    // Of younger days the log and the snapshot of its index know: who names a day has asked neither, or knows better.
    const youngestMs = nowMs() + (wanted.before === undefined ? -rememberedDays : 1) * dayMs
    const until = earlier(wanted.before, dateOf(Math.max(0, youngestMs)))
    const readable = indexes.filter(
      index => !search.hasNotRead(idIndexKey(idIndexFileOf(index, wanted.traceId))),
    )
    const anew = daysOfNewLogs(indexes)
    const isCovered = (day: string): boolean =>
      !anew.has(day) && readable.some(index => index.date <= day && day <= index.lastDate)
    // What was not looked into for want of reads is left to the next request, its days too.
    const oldest = (): Promise<string | undefined> =>
      this.#oldestDay.of('ledger', () => oldestDay(blobs))
    const since = found?.date ?? (budget.left < 0 ? search.ledgerSince : await oldest())
    if (since === undefined || since === null) return found
    const bare = daysBefore(until, since).filter(day => !isCovered(day))
    if (bare.length === 0) return found
    const other = await this.#inSegments(bare, readable, wanted, search, budget)
    return later(found, other)
  }

  /** Of two logs the later decision speaks; of one the newest index that has any. */
  async #inIndexes(
    indexes: readonly ListedIdIndex[],
    wanted: Wanted,
    search: Search,
    budget: Budget,
  ): Promise<LoggedOn | undefined> {
    const { before } = wanted
    let found: LoggedOn | undefined
    let days = ''
    for (const index of newestFirst(indexes)) {
      if (before !== undefined && index.date >= before) continue
      if (found !== undefined && (index.logId === found.logId || index.lastDate < found.date)) {
        continue
      }
      const own = `${index.date} ${index.lastDate}`
      if (own !== days && budget.left-- <= 0) {
        search.isPartial = true
        budget.left = -1
        break
      }
      days = own
      sees(search, index.date)
      found = later(found, await this.#inIndex(index, wanted, search))
    }
    return found
  }

  async #inIndex(
    index: ListedIdIndex,
    { tenant, traceId, before }: Wanted,
    search: Search,
  ): Promise<LoggedOn | undefined> {
    const { blobs } = this.#options
    const key = idIndexKey(idIndexFileOf(index, traceId))
    const lookUp = async (): Promise<LedgerPlace | undefined> => {
      const file = await this.#files.get(key, () => openIdIndex(blobs, key))
      if (file === undefined) throw new IndexGone()
      return lookUpInIdIndex(blobs, file, tenant, traceId).catch(thrown(blobs, key))
    }
    const place = await search.readable(key, async () => {
      const isHeld = this.#files.has(key)
      try {
        return await lookUp()
      } catch (error) {
        // Made again since, of a segment that an erasure has changed: the same name, other bytes.
        if (!isHeld || (error as { code?: unknown }).code !== 'DATA_CORRUPT') throw error
        this.#files.forget(key)
        return await lookUp()
      }
    })
    if (place === undefined) return undefined
    if (before !== undefined && place.date >= before) {
      // It knows the last one alone: there may be one of an earlier day.
      search.isPartial = true
      return undefined
    }
    const decision = await search.readable(place.key, async () => {
      const row = await readLedgerRow(blobs, place)
      return row && checked(decisionOf(row), place, key, tenant, traceId)
    })
    return decision && { decision, segment: place.key, date: place.date, logId: index.logId }
  }

  /** Of days without an index, newest first: a ranged read of each segment that lacks the trace and has none. */
  async #inSegments(
    days: readonly string[],
    indexes: readonly ListedIdIndex[],
    { tenant, traceId }: Wanted,
    search: Search,
    budget: Budget,
  ): Promise<LoggedOn | undefined> {
    const { blobs, partitionOf } = this.#options
    for await (const { date, segments: all } of segmentsOf(blobs, days, partitionOf(traceId))) {
      const segments = all.filter(segment => !indexes.some(index => covers(index, segment)))
      if (segments.length === 0) continue
      // A day is looked through whole: the next request begins with the day before.
      if (budget.left <= 0) {
        search.isPartial = true
        break
      }
      sees(search, date)
      let found: LoggedOn | undefined
      for (const { key, bytes, logId } of segments) {
        budget.left--
        if (logId === found?.logId) continue
        const row = await search.readable(key, () =>
          findLedgerRow(blobs, { key, bytes }, tenant, traceId),
        )
        if (row === undefined) continue
        found = later(found, { decision: decisionOf(row), segment: key, date, logId })
      }
      if (found !== undefined) return found
    }
    return undefined
  }
}

interface Budget {
  left: number
}

/** An index was listed and is not there any more. */
class IndexGone extends Error {}

/** What is thrown where an index was not to be read: that it is gone, if it is, for its rows are read behind its footer. */
function thrown(blobs: BlobStore, key: string): (error: unknown) => Promise<never> {
  return async error => {
    if (isRetryable(error) && (await blobs.head(key)) === undefined) throw new IndexGone()
    throw error
  }
}

/** Of those that end with the same segment the one of most days, which has what the others have. */
function newestFirst(indexes: readonly ListedIdIndex[]): ListedIdIndex[] {
  return indexes.toSorted(
    (a, b) =>
      compare(b.lastDate, a.lastDate) ||
      compare(b.logId, a.logId) ||
      b.last - a.last ||
      a.first - b.first,
  )
}

/**
 * Days on which one log ended and another began, as after `topics.generation` was raised: of the day in which a log
 * ended nobody makes an index, and that of the other one says nothing of it.
 */
function daysOfNewLogs(indexes: readonly IdIndexName[]): ReadonlySet<string> {
  const firstDays = new Map<string, string>()
  for (const { logId, date } of indexes) {
    const first = firstDays.get(logId)
    if (first === undefined || date < first) firstDays.set(logId, date)
  }
  return new Set([...firstDays.values()].sort().slice(1))
}

function covers(index: IdIndexName, { logId, offset }: ListedSegment): boolean {
  return index.logId === logId && index.first <= offset && offset <= index.last
}

/** By day, newest first, and within a day too; of a month one list, of a few days one each. */
async function* segmentsOf(
  blobs: BlobStore,
  days: readonly string[],
  partition: number,
): AsyncIterable<{ readonly date: string; readonly segments: readonly ListedSegment[] }> {
  const byMonth = Map.groupBy(days, day => day.slice(0, 'yyyy-mm'.length))
  for (const [month, own] of [...byMonth].sort().reverse()) {
    const byDay = new Map<string, ListedSegment[]>()
    for await (const segment of own.length > daysListedMax
      ? listLedgerMonth(blobs, month, partition)
      : listDays(blobs, own, partition)) {
      const held = byDay.get(segment.date)
      if (held === undefined) byDay.set(segment.date, [segment])
      else held.push(segment)
    }
    for (const date of own.toSorted().reverse()) {
      const segments = byDay.get(date)
      if (segments !== undefined) yield { date, segments: segments.reverse() }
    }
  }
}

/** Days of a month that are listed one by one; of more all partitions are listed. */
const daysListedMax = 3

async function* listDays(
  blobs: BlobStore,
  days: readonly string[],
  partition: number,
): AsyncIterable<ListedSegment> {
  for (const day of days) {
    const sinceMs = Date.parse(`${day}T00:00:00Z`)
    yield* listSegments(blobs, 'ledger', { sinceMs, untilMs: sinceMs + 1, partition })
  }
}

/** The day of the oldest segment, of any partition. One list. */
async function oldestDay(blobs: BlobStore): Promise<string | undefined> {
  for await (const { date } of listSegments(blobs, 'ledger')) return date
  return undefined
}

/** From `since` on, without `until`. */
function daysBefore(until: string, since: string): string[] {
  const days: string[] = []
  for (let day = since; day < until; day = dateOf(Date.parse(`${day}T00:00:00Z`) + dayMs)) {
    days.push(day)
  }
  return days
}

function earlier(a: string | undefined, b: string): string {
  return a !== undefined && a < b ? a : b
}

function later(a: LoggedOn | undefined, b: LoggedOn | undefined): LoggedOn | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return b.decision.decidedAtMs > a.decision.decidedAtMs ? b : a
}

function sees(search: Search, date: string): void {
  if (search.ledgerSince === null || date < search.ledgerSince) search.ledgerSince = date
}

function checked(
  decision: DecisionHead,
  place: LedgerPlace,
  index: string,
  tenant: string,
  traceId: string,
): DecisionHead {
  if (decision.tenant === tenant && decision.traceId === traceId) return decision
  throw new PipelineError(
    'DATA_CORRUPT',
    `${place.key}: row ${place.row} is not of ${traceId}, as ${index} says; delete that index`,
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
