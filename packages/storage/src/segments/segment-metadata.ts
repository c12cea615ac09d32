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
  /**
   * Rows of `rows` that erasures have taken out of this object; absent: none. `rows` stays as it was fixed,
   * so that ledger, warm and cold agree whichever of them an erasure has come to.
   */
  readonly erased?: number
  /** Which erasures took how much of it; the last {@link erasuresNamedMax}. */
  readonly erasures?: readonly SegmentErasure[]
  /**
   * Of cold: by tenant, the name of the key that its strings are hashed with, which tells nothing of it; of
   * {@link coldKeysNamedMax} tenants at most. A reader that has no such key can link them to nothing.
   */
  readonly coldKeys?: ReadonlyMap<string, string>
}

/** Tenants whose keys one object names, some 5 KB; of the others nobody can say more than that they are hashed. */
export const coldKeysNamedMax = 64

/** What one erasure took out of an object, for its receipt: a job that was killed counts nothing twice. */
export interface SegmentErasure {
  readonly id: string
  /** Of the ledger: rows that were reduced to their accounting. */
  readonly rows: number
  /** By which the object became smaller. */
  readonly bytes: number
}

/** Erasures that one object names; it forgets the oldest. */
export const erasuresNamedMax = 64

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
  if (metadata.erased !== undefined) values.erased = metadata.erased
  if (metadata.erasures !== undefined) values.erasures = erasuresText(metadata.erasures)
  if (metadata.coldKeys !== undefined) values.cold_keys = coldKeysText(metadata.coldKeys)
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
    ...(values.has('winnow.erased') && { erased: whole('erased') }),
    ...(values.has('winnow.erasures') && { erasures: erasuresOf(text('erasures')) }),
    ...(values.has('winnow.cold_keys') && { coldKeys: coldKeysOf(text('cold_keys')) }),
  }
}

/** `<id>:<rows>:<bytes>` each; the bytes in so many digits that the text is as long whatever they are. */
function erasuresText(erasures: readonly SegmentErasure[]): string {
  const named = erasures.slice(-erasuresNamedMax)
  return named
    .map(({ id, rows, bytes }) => `${id}:${rows}:${String(bytes).padStart(bytesDigits, '0')}`)
    .join(',')
}

const bytesDigits = 12

function erasuresOf(text: string): SegmentErasure[] {
  return text.split(',').map(one => {
    const [id = '', rows = '', bytes = ''] = one.split(':')
    return { id, rows: Number(rows), bytes: Number(bytes) }
  })
}

/** `<tenant>=<name>` each, the tenant's UTF-8 in hex: it may be any text. */
function coldKeysText(keys: ReadonlyMap<string, string>): string {
  const named = [...keys].slice(0, coldKeysNamedMax)
  return named.map(([tenant, name]) => `${Buffer.from(tenant).toString('hex')}=${name}`).join(',')
}

function coldKeysOf(text: string): Map<string, string> {
  const pairs = text.split(',').map(one => one.split('='))
  return new Map(
    pairs.map(([tenant = '', name = '']) => [Buffer.from(tenant, 'hex').toString(), name]),
  )
}

function pairOf(pair: Partial<KeyValue> | null | undefined): [string, string][] {
  const { key, value } = pair ?? {}
  return typeof key === 'string' && typeof value === 'string' ? [[key, value]] : []
}
