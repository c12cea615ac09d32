import { acceptsVersion, type CountingState, formats, isNewerVersion } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { type Tier, tiers } from './segment-key.ts'

/** The format this release writes and the newest it reads; it also reads the one before. */
export const segmentFormat = formats.segment

/**
 * What a segment says of itself, in its Parquet footer under keys `winnow.…`. The ledger's is the
 * one that fixes `b`: whoever finds it there writes the other tiers for exactly [a, b].
 */
export interface SegmentMetadata {
  readonly v: number
  readonly tier: Tier
  readonly partition: number
  readonly logId: string
  /** The range of offsets of `decisions` it holds, both ends included. */
  readonly a: number
  readonly b: number
  /** Who counts after b (protocol D): a reader without a note goes on from here. */
  readonly after: CountingState
  /** Rows in each tier for this range, so that the ledger alone proves what must exist. */
  readonly rows: Readonly<Record<Tier, number>>
  /** Lower-case hex SHA-256 of the bytes of record a: tells another log's object from ours. */
  readonly digest: string
}

/** Of a record that retention removed before its digest was taken: it agrees with any. */
export const unknownDigest = '0'.repeat(64)

type KeyValue = { readonly key: string; readonly value?: string }

export function metadataToKeyValues(metadata: SegmentMetadata): { key: string; value: string }[] {
  const values: Record<string, string | number> = {
    v: metadata.v,
    tier: metadata.tier,
    partition: metadata.partition,
    log_id: metadata.logId,
    a: metadata.a,
    b: metadata.b,
    claim: metadata.after.claim,
    next: metadata.after.next,
    digest: metadata.digest,
  }
  for (const tier of tiers) values[`rows_${tier}`] = metadata.rows[tier]
  return Object.entries(values).map(([key, value]) => ({
    key: `winnow.${key}`,
    value: String(value),
  }))
}

/**
 * Throws DATA_CORRUPT where a value is missing or no number, CONFIG_INVALID for a newer release's
 * segment. `name` is for the message.
 */
export function metadataFromKeyValues(name: string, pairs: readonly KeyValue[]): SegmentMetadata {
  // A footer with a fault in it can hold anything in place of a pair.
  const values = new Map(Array.isArray(pairs) ? pairs.flatMap(pairOf) : [])
  const text = (key: string): string => {
    const value = values.get(`winnow.${key}`)
    if (value === undefined) {
      throw new PipelineError(
        'DATA_CORRUPT',
        `${name} is no segment: its footer lacks winnow.${key}`,
      )
    }
    return value
  }
  const whole = (key: string): number => {
    const value = Number(text(key))
    if (Number.isSafeInteger(value)) return value
    throw new PipelineError(
      'DATA_CORRUPT',
      `${name}: winnow.${key} is ${text(key)}, no whole number`,
    )
  }
  const v = whole('v')
  if (isNewerVersion('segment', v)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `${name} has format ${v}, this release reads up to ${segmentFormat}; run the newer release`,
    )
  }
  const tier = tiers.find(one => one === text('tier'))
  if (!acceptsVersion('segment', v) || tier === undefined) {
    throw new PipelineError(
      'DATA_CORRUPT',
      `${name}: format ${v}, tier ${text('tier')} never existed`,
    )
  }
  return {
    v,
    tier,
    partition: whole('partition'),
    logId: text('log_id'),
    a: whole('a'),
    b: whole('b'),
    after: { claim: whole('claim'), next: whole('next') },
    rows: { ledger: whole('rows_ledger'), warm: whole('rows_warm'), cold: whole('rows_cold') },
    digest: text('digest'),
  }
}

function pairOf(pair: Partial<KeyValue> | null | undefined): [string, string][] {
  const { key, value } = pair ?? {}
  return typeof key === 'string' && typeof value === 'string' ? [[key, value]] : []
}
