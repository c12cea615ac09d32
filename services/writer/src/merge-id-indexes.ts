import { isRetryable, PipelineError } from '@winnow/runtime'
import {
  cutIds,
  dateOf,
  IdIndexBuilder,
  type IdIndexName,
  idIndexFilesMax,
  idIndexKey,
  idIndexOf,
  idIndexRowsMax,
  idRowBytes,
  type ListedIdIndex,
  openIdIndex,
  partsOfIdIndex,
  rangeDigitsMax,
  type SortedFile,
  wholeIdIndexes,
} from '@winnow/storage'
import { indexSegments, openSegments, startOf } from './index-segments.ts'
import { type IndexedLedger, indexFilesOf, writeIndex } from './indexed-ledger.ts'

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
 * partition over, deletes the rest by what the objects say, and nobody deletes what another has only listed. One that
 * takes several files is there once all of them are.
 */
export async function mergeIdIndexes(oldest: string, ledger: IndexedLedger): Promise<void> {
  let indexes = await deleteParts(ledger)
  for (;;) {
    const parts = partsToMerge(
      indexes,
      oldest,
      (ledger.rowsMax ?? idIndexRowsMax) * idIndexFilesMax,
    )
    if (parts.length === 0 || ledger.ended.aborted) return
    // What was found between them joins them the next time.
    if (await indexBetween(parts, indexes, ledger)) return
    const unreadable = await mergeParts(parts, oldest, ledger)
    if (unreadable === undefined) return
    // It stays as it is, and look-ups name it; what is newer becomes one all the same.
    indexes = indexes.filter(({ last }) => last > unreadable.last)
  }
}

/**
 * Makes one of them, file by file, and resolves with none; or with the one that nobody can read, and has made nothing
 * whole.
 */
async function mergeParts(
  parts: readonly ListedIdIndex[],
  oldest: string,
  ledger: IndexedLedger,
): Promise<ListedIdIndex | undefined> {
  const { blobs, ended, rowsMax = idIndexRowsMax } = ledger
  const opened: OpenIndex[] = []
  for (const part of parts) {
    if (ended.aborted) return undefined
    const files = await readable(part, ledger, () => openFiles(part, ledger))
    if (files === undefined) return part
    // Another writer has made one of it meanwhile.
    if (files === 'gone') return undefined
    opened.push({ part, files })
  }
  const files = opened.flatMap(index => index.files)
  const rows = files.reduce((sum, file) => sum + file.rows, 0)
  const made: string[] = []
  for (const ids of cutIds(files, rowsMax, rangeDigitsMax(ledger.logId))) {
    const builder = new IdIndexBuilder(Math.min(rows, rowsMax), ids)
    for (const { part, files: own } of opened) {
      if (ended.aborted) return undefined
      const isRead = await readable(part, ledger, async () => {
        await builder.addIndex(blobs, part, own, oldest)
        return true
      })
      if (isRead !== undefined) continue
      // Half an index is of no use, and tomorrow's has another name: they would become many.
      for (const key of made) await blobs.delete(key)
      return part
    }
    const key = await writeIndex(builder, ledger)
    if (key !== undefined) made.push(key)
  }
  await deleteParts(ledger)
  return undefined
}

interface OpenIndex {
  readonly part: ListedIdIndex
  readonly files: readonly SortedFile[]
}

async function openFiles(
  { files }: ListedIdIndex,
  { blobs }: IndexedLedger,
): Promise<readonly SortedFile[] | 'gone'> {
  const opened: SortedFile[] = []
  for (const file of files) {
    const one = await openIdIndex(blobs, idIndexKey(file))
    if (one === undefined) return 'gone'
    opened.push(one)
  }
  return opened
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

/**
 * Deletes the indexes of which one of the others says that it was made from them, and the files of those that were
 * never made whole and lie within another. The indexes that stay.
 */
async function deleteParts(ledger: IndexedLedger): Promise<readonly ListedIdIndex[]> {
  const { blobs, log, partition } = ledger
  const files = await indexFilesOf(ledger)
  const indexes = wholeIdIndexes(files)
  const whole = new Set(indexes.map(idIndexKey))
  const dead = new Set(
    files
      .filter(file => !whole.has(idIndexOf(file)) && indexes.some(other => isWithin(file, other)))
      .map(idIndexOf),
  )
  for (const index of indexes) {
    if (dead.has(idIndexKey(index)) || !indexes.some(other => isWithin(other, index))) continue
    // Of each file the same is said.
    const [first = index] = index.files
    const file = await readable(index, ledger, () => openIdIndex(blobs, idIndexKey(first)))
    for (const part of file === undefined ? [] : partsOfIdIndex(file)) {
      if (idIndexKey(part) !== idIndexKey(index)) dead.add(idIndexKey(part))
    }
  }
  const deleted = files.filter(file => dead.has(idIndexOf(file)))
  for (const file of deleted) await blobs.delete(idIndexKey(file))
  if (deleted.length > 0) {
    log.info('writer.id_indexes_merged', { partition, deleted: deleted.length })
  }
  return indexes.filter(index => !dead.has(idIndexKey(index)))
}

/** Whether what the one covers lies within what the other does: else nothing was made of it. */
function isWithin(one: IdIndexName, other: IdIndexName): boolean {
  return one !== other && one.first >= other.first && one.last <= other.last
}

/**
 * Of the indexes of one log those that are to become one; none: they are few. Further days join the newest index
 * until that has {@link youngDays}, then both join the one before: so there are two as long as rows allow, a row is
 * written again some 15 times in its first month, and once a month from then on. Pure.
 */
export function partsToMerge(
  indexes: readonly ListedIdIndex[],
  oldest: string,
  rowsMax = idIndexRowsMax * idIndexFilesMax,
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
