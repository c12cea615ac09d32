import { PipelineError } from '@winnow/runtime'

export type Tier = 'ledger' | 'warm' | 'cold'

export const tiers: readonly Tier[] = ['ledger', 'warm', 'cold']

/** What the name of a segment says. */
export interface SegmentName {
  readonly tier: Tier
  /** UTC date of the append time of record a, `2026-11-21`. */
  readonly date: string
  readonly partition: number
  /** Of the `decisions` topic: another log's offsets mean something else. */
  readonly logId: string
  /** a, the first offset of its range. */
  readonly offset: number
}

/** Twelve and four digits: as many as sort by text as they do by number. */
export const segmentOffsetMax = 999_999_999_999
export const segmentPartitionMax = 9_999

/** Longest log id in a name. */
export const segmentLogIdLengthMax = 128

const logIdPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/

/**
 * `warm/date=2026-11-21/p=0003/<log id>-000000123456.parquet`. Throws CONFIG_INVALID for an offset,
 * partition or log id that does not fit the name. `dateMs` is the append time of the record at
 * `offset`, Unix milliseconds, so that everybody who writes the range makes the same name.
 */
export function segmentKey(
  tier: Tier,
  dateMs: number,
  partition: number,
  logId: string,
  offset: number,
): string {
  wholeUpTo('offset', offset, segmentOffsetMax)
  wholeUpTo('partition', partition, segmentPartitionMax)
  if (!isLogId(logId)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `log id ${JSON.stringify(logId.slice(0, 80))} does not fit an object's name; it needs 1 to ${segmentLogIdLengthMax} of A-Z a-z 0-9 _ . -`,
    )
  }
  const folder = `${tier}/date=${dateOf(dateMs)}/p=${String(partition).padStart(4, '0')}`
  return `${folder}/${logId}-${String(offset).padStart(12, '0')}.parquet`
}

/** Undefined for a key that `segmentKey` does not make. */
export function parseSegmentKey(key: string): SegmentName | undefined {
  const match =
    /^(ledger|warm|cold)\/date=(\d{4}-\d\d-\d\d)\/p=(\d{4})\/(.+)-(\d{12})\.parquet$/.exec(key)
  if (match === null) return undefined
  const [, tier, date = '', partition, logId = '', offset] = match
  const dateMs = Date.parse(`${date}T00:00:00Z`)
  if (!isLogId(logId) || Number.isNaN(dateMs) || dateOf(dateMs) !== date) return undefined
  return {
    tier: tier as Tier,
    date,
    partition: Number(partition),
    logId,
    offset: Number(offset),
  }
}

/** The UTC date as names have it. */
export function dateOf(timeMs: number): string {
  if (!(timeMs >= 0 && timeMs < 253_402_300_800_000)) {
    throw new PipelineError('CONFIG_INVALID', `time ${timeMs} is not in the years 1970 to 9999`)
  }
  return new Date(timeMs).toISOString().slice(0, 10)
}

function isLogId(logId: string): boolean {
  return logId.length <= segmentLogIdLengthMax && logIdPattern.test(logId)
}

function wholeUpTo(what: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return
  throw new PipelineError(
    'CONFIG_INVALID',
    `${what} ${value} does not fit an object's name; it must be a whole number up to ${max}`,
  )
}
