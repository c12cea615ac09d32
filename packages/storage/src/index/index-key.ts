import { PipelineError } from '@winnow/runtime'
import { blobNameBytesMax } from '../blob-key.ts'
import {
  dateOf,
  segmentLogIdLengthMax,
  segmentOffsetMax,
  segmentPartitionMax,
} from '../segments/segment-key.ts'

/** What the name of an index snapshot says. */
export interface SnapshotName {
  readonly partition: number
  /** Of the `decisions` topic. */
  readonly logId: string
  /** The first offset of `decisions` that is not in it. */
  readonly nextOffset: number
}

/** What an id index covers. */
export interface IdIndexName {
  readonly partition: number
  /** First UTC date in the names of its segments, `2026-11-21`. */
  readonly date: string
  /** The last one: the same, unless the indexes of several days were made one. */
  readonly lastDate: string
  readonly logId: string
  /** First offset of the first and of the last segment that it covers. */
  readonly first: number
  readonly last: number
}

/** Trace ids in hex, or their first digits, compared as texts: from `from` on, without `before`. */
export interface IdRange {
  readonly from: string
  readonly before: string
}

/** `g` is behind every digit. */
export const everyId: IdRange = { from: '0', before: 'g' }

/** What the name of one file of an id index says. */
export interface IdIndexFileName extends IdIndexName {
  /** The ids that it has; undefined: every one, and the index has no other file. */
  readonly ids?: IdRange
}

/** `index/p=0003/<log id>-000000123456.idx`. Throws CONFIG_INVALID for what does not fit a name. */
export function snapshotKey({ partition, logId, nextOffset }: SnapshotName): string {
  return `${snapshotPrefix(partition)}${checkedLogId(logId)}-${twelve(nextOffset)}.idx`
}

export function snapshotPrefix(partition: number): string {
  return `index/${folderOf(partition)}/`
}

/** Undefined for a key that `snapshotKey` does not make. */
export function parseSnapshotKey(key: string): SnapshotName | undefined {
  const [, partition, logId = '', nextOffset] =
    /^index\/p=(\d{4})\/(.+)-(\d{12})\.idx$/.exec(key) ?? []
  if (!isLogId(logId)) return undefined
  return { partition: Number(partition), logId, nextOffset: Number(nextOffset) }
}

/**
 * `ids/p=0003/2026-11-21-<log id>-000000100000-000000123456.idx`, of several days
 * `ids/p=0003/2026-11-01_2026-11-21-…`, and of some ids `….5f3a-8c.idx`: one list by partition finds the indexes
 * of every day, and tells which segments and ids they cover.
 */
export function idIndexKey(name: IdIndexFileName): string {
  const { partition, date, lastDate, logId, first, last, ids } = name
  for (const one of [date, lastDate]) {
    if (isDate(one)) continue
    throw new PipelineError('CONFIG_INVALID', `${JSON.stringify(one)} is no date`)
  }
  const days = date === lastDate ? date : `${date}_${lastDate}`
  const range = ids === undefined ? '' : `.${ids.from}-${ids.before}`
  return `${idIndexPrefix(partition)}${days}-${checkedLogId(logId)}-${twelve(first)}-${twelve(last)}${range}.idx`
}

/** Digits of each end of a range that a name has room for: fewer than an id's 32 where its log's id is long. */
export function rangeDigitsMax(logId: string): number {
  const longest = `2026-11-01_2026-11-21-${logId}-${twelve(0)}-${twelve(0)}.-.idx`
  return Math.min(32, Math.floor((blobNameBytesMax - longest.length) / 2))
}

export function idIndexPrefix(partition: number): string {
  return `ids/${folderOf(partition)}/`
}

/** Undefined for a key that `idIndexKey` does not make. */
export function parseIdIndexKey(key: string): IdIndexFileName | undefined {
  const [, partition, date = '', until, logId = '', first, last, from, before] =
    /^ids\/p=(\d{4})\/(\d{4}-\d\d-\d\d)(?:_(\d{4}-\d\d-\d\d))?-(.+)-(\d{12})-(\d{12})(?:\.([\da-f]{1,32})-([\da-f]{1,32}|g))?\.idx$/.exec(
      key,
    ) ?? []
  const lastDate = until ?? date
  if (!isLogId(logId) || !isDate(date) || !isDate(lastDate) || until === date) return undefined
  if (lastDate < date) return undefined
  const offsets = { first: Number(first), last: Number(last) }
  const name = { partition: Number(partition), date, lastDate, logId, ...offsets }
  if (from === undefined || before === undefined) return name
  return from < before ? { ...name, ids: { from, before } } : undefined
}

function isDate(date: string): boolean {
  const dateMs = Date.parse(`${date}T00:00:00Z`)
  return dateMs >= 0 && dateOf(dateMs) === date
}

function isLogId(logId: string): boolean {
  return logId.length <= segmentLogIdLengthMax && /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(logId)
}

function checkedLogId(logId: string): string {
  if (isLogId(logId)) return logId
  const shown = JSON.stringify(logId.slice(0, 80))
  throw new PipelineError('CONFIG_INVALID', `log id ${shown} does not fit an object's name`)
}

function folderOf(partition: number): string {
  return `p=${String(wholeUpTo('partition', partition, segmentPartitionMax)).padStart(4, '0')}`
}

function twelve(offset: number): string {
  return String(wholeUpTo('offset', offset, segmentOffsetMax)).padStart(12, '0')
}

function wholeUpTo(what: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value
  throw new PipelineError(
    'CONFIG_INVALID',
    `${what} ${value} does not fit an object's name; it must be a whole number up to ${max}`,
  )
}
