import type { BusRecord, NewRecord } from '@winnow/bus'
import { acceptsVersion, writtenVersion } from '@winnow/model'
import { checkFormat } from './format.ts'
import type { VariantSpec } from './policy-file.ts'
import type { SpendEntry } from './variant-spend.ts'

/** A variant whose `until` has passed, under `spend/ended/<experiment>/<variant>`: written once. */
export interface EndedVariant {
  readonly experiment: string
  readonly variant: string
  readonly until: string
  /** Traces kept for it in the UTC day in which it ended, by all samplers. */
  readonly traces: number
  readonly atMs: number
}

/** A record of `control` that is about variants' caps. */
export type SpendRecord =
  | {
      readonly kind: 'spend'
      readonly partition: number
      readonly spend: readonly SpendEntry[]
    }
  | ({ readonly kind: 'variant-ended' } & EndedVariant)

/** All that a partition's owner has kept for variants, by UTC day and arm, under `spend/<partition>`. */
export function spendRecord(partition: number, spend: readonly SpendEntry[]): NewRecord {
  return record(`spend/${partition}`, { kind: 'spend', partition, spend })
}

export function endedRecord(
  { experiment, variant, until }: VariantSpec,
  traces: number,
  atMs: number,
): NewRecord {
  const key = `spend/ended/${experiment}/${variant}`
  return record(key, { kind: 'variant-ended', experiment, variant, until, traces, atMs })
}

/** Undefined for what is about something else, or is no record. DATA_CORRUPT for a newer format, by name. */
export function readSpendRecord({ key, value }: BusRecord): SpendRecord | undefined {
  if (key === undefined || !Buffer.from(key).toString().startsWith('spend/')) return undefined
  let read: (Partial<SpendRecord> & { readonly v?: unknown }) | null
  try {
    read = JSON.parse(Buffer.from(value).toString())
  } catch {
    return undefined
  }
  checkFormat('spendRecord', read?.v, 'a record of what variants have used up')
  if (!acceptsVersion('spendRecord', read?.v)) return undefined
  if (read?.kind === 'spend') {
    const { partition, spend } = read
    const isRead = Number.isSafeInteger(partition) && Array.isArray(spend) && spend.every(isEntry)
    return isRead ? (read as SpendRecord) : undefined
  }
  if (read?.kind !== 'variant-ended') return undefined
  const { experiment, variant, until } = read
  const texts = [experiment, variant, until]
  return texts.every(text => typeof text === 'string') ? (read as SpendRecord) : undefined
}

function isEntry(entry: unknown): entry is SpendEntry {
  if (!Array.isArray(entry)) return false
  const [day, arm, traces] = entry
  return Number.isSafeInteger(day) && typeof arm === 'string' && Number.isSafeInteger(traces)
}

function record(key: string, value: object): NewRecord {
  const text = JSON.stringify({ v: writtenVersion('spendRecord'), ...value })
  return { key: Buffer.from(key), value: Buffer.from(text) }
}
