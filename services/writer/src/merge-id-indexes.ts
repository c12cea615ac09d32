import { isRetryable, PipelineError } from '@winnow/runtime'
import {
  dateOf,
  IdIndexBuilder,
  idIndexKey,
  idIndexRowsMax,
  idRowBytes,
  type ListedIdIndex,
  openIdIndex,
  partsOfIdIndex,
} from '@winnow/storage'
import { indexSegments, openSegments, startOf } from './index-segments.ts'
import { type IndexedLedger, indexesOf, writeIndex } from './indexed-ledger.ts'

/** Days of an index that takes up every further day; one of more takes up as many at once. */
export const youngDays = 31

/** Indexes that become one at a time; what is left becomes part of it the next time. */
export const mergedIndexesMax = 512

/** Days of an index whose segments are gone, at most, but for a day until the writer looks. */
export const goneDaysMax = youngDays

const dayMs = 86_400_000

/**
 * Makes few indexes of many, each time that a day was indexed: a look-up reads each of them. What is made is
 * there before what it was made from goes, and says what that was: so whoever is killed in between, or takes a
 * partition over, deletes the rest by what the objects say, and nobody deletes what another has only listed.
 */
export async function mergeIdIndexes(oldest: string, ledger: IndexedLedger): Promise<void> {
  let indexes = await deleteParts(await indexesOf(ledger), ledger)
  for (;;) {
    const parts = partsToMerge(indexes, oldest, ledger.rowsMax)
    if (parts.length === 0 || ledger.ended.aborted) return
    // What was found between them joins them the next time.
    if (await indexBetween(parts, indexes, ledger)) return
    const unreadable = await mergeParts(parts, oldest, ledger)
    if (unreadable === undefined) return
    // It stays as it is, and look-ups name it; what is newer becomes one all the same.
    indexes = indexes.filter(({ last }) => last > unreadable.last)
  }
}

/** Makes one of them, and resolves with none; or with the one that nobody can read, and has made nothing. */
async function mergeParts(
  parts: readonly ListedIdIndex[],
  oldest: string,
  ledger: IndexedLedger,
): Promise<ListedIdIndex | undefined> {
  const rows = parts.reduce((sum, part) => sum + rowsOf(part), 0)
  const builder = new IdIndexBuilder(Math.max(1, rows))
  for (const part of parts) {
    if (ledger.ended.aborted) return undefined
    const added = await readable(part, ledger, () => builder.addIndex(ledger.blobs, part, oldest))
    if (added === undefined) return part
    // Another writer has made one of it meanwhile.
    if (!added) return undefined
  }
  await writeIndex(builder, ledger)
  await deleteParts(await indexesOf(ledger), ledger)
  return undefined
}

/**
 * Indexes the segments between each two neighbours that no index covers: somebody has deleted theirs, and one of
 * days around them would hide for good that they are missing. Whether there were any.
 */
async function indexBetween(
  parts: readonly ListedIdIndex[],
  indexes: readonly ListedIdIndex[],
  ledger: IndexedLedger,
): Promise<boolean> {
  let isAny = false
  let last = parts[0] as ListedIdIndex
  for (const next of parts.slice(1)) {
    const [from = '', to = ''] = [last.lastDate, next.date].sort()
    for (let day = from; day <= to && !ledger.ended.aborted; day = dayAfter(day)) {
      const open = (await openSegments(day, indexes, ledger)).filter(
        ({ offset }) => last.last < offset && offset < next.first,
      )
      isAny ||= open.length > 0
      await indexSegments(open, ledger)
    }
    last = next
  }
  return isAny
}

/** Undefined: nobody can read the index, which is said; days are indexed beside it all the same. */
async function readable<T>(
  index: ListedIdIndex,
  { log, partition }: IndexedLedger,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (isRetryable(error) || !(error instanceof PipelineError)) throw error
    log.error('writer.id_index_unreadable', error, { partition, key: idIndexKey(index) })
    return undefined
  }
}

/** Deletes the indexes of which one of the others says that it was made from them. Those that stay. */
async function deleteParts(
  indexes: readonly ListedIdIndex[],
  ledger: IndexedLedger,
): Promise<readonly ListedIdIndex[]> {
  const { blobs, log, partition } = ledger
  const listed = new Set(indexes.map(idIndexKey))
  const deleted = new Set<string>()
  for (const index of indexes) {
    const key = idIndexKey(index)
    if (deleted.has(key) || !mayHaveParts(index, indexes)) continue
    const file = await readable(index, ledger, () => openIdIndex(blobs, key))
    for (const part of file === undefined ? [] : partsOfIdIndex(file)) {
      const partKey = idIndexKey(part)
      if (partKey === key || !listed.has(partKey) || deleted.has(partKey)) continue
      await blobs.delete(partKey)
      deleted.add(partKey)
    }
  }
  if (deleted.size > 0) {
    log.info('writer.id_indexes_merged', { partition, deleted: deleted.size })
  }
  return indexes.filter(index => !deleted.has(idIndexKey(index)))
}

/** Whether any of the others lies within what it covers: else its footer need not be read. */
function mayHaveParts(index: ListedIdIndex, others: readonly ListedIdIndex[]): boolean {
  return others.some(
    other => other !== index && other.first >= index.first && other.last <= index.last,
  )
}

/**
 * Of the indexes of one log those that are to become one; none: they are few. Further days join the newest index
 * until that has {@link youngDays}, then both join the one before: so there are two as long as rows allow, a row is
 * written again some 15 times in its first month, and once a month from then on. Pure.
 */
export function partsToMerge(
  indexes: readonly ListedIdIndex[],
  oldest: string,
  rowsMax: number = idIndexRowsMax,
): readonly ListedIdIndex[] {
  // What is wholly gone is the sweeper's.
  const held = indexes
    .filter(({ lastDate }) => lastDate >= oldest)
    .sort((a, b) => a.last - b.last || a.first - b.first)
  let taken: readonly ListedIdIndex[] = []
  let rows = 0
  for (const index of held.toReversed()) {
    if (taken.length === mergedIndexesMax) break
    rows += rowsOf(index)
    const isYoung = daysOf([index]) <= youngDays
    if (rows > rowsMax || !(isYoung || daysOf(taken) >= youngDays)) break
    taken = [index, ...taken]
  }
  if (taken.length > 1) return taken
  const stale = held.find(
    ({ date, lastDate }) => date < lastDate && daysBetween(date, oldest) > goneDaysMax,
  )
  return stale === undefined ? [] : [stale]
}

/** At most: its footer counts too. */
function rowsOf({ bytes }: ListedIdIndex): number {
  return Math.floor(bytes / idRowBytes)
}

/** From the first through the last one, UTC. */
function daysOf(indexes: readonly ListedIdIndex[]): number {
  if (indexes.length === 0) return 0
  const dates = indexes.flatMap(({ date, lastDate }) => [date, lastDate]).sort()
  return daysBetween(dates[0] as string, dates.at(-1) as string) + 1
}

function daysBetween(a: string, b: string): number {
  return (Date.parse(b) - Date.parse(a)) / dayMs
}

function dayAfter(date: string): string {
  return dateOf(startOf(date) + dayMs)
}
