import { setImmediate } from 'node:timers/promises'
import type { SliceFacts } from '@winnow/model'
import type { BlobStore } from '../blob-store.ts'
import { spanColumns } from '../span-columns.ts'
import type { SpanRow } from '../span-row.ts'
import { decisionOf } from './ledger-rows.ts'
import { type ParquetObject, readParquet, readRows } from './parquet-read.ts'
import { readAllLedger } from './segment.ts'

type Searched = Pick<
  SpanRow,
  'tenant' | 'trace_id' | 'attributes' | 'resource_attributes' | 'events' | 'links'
>

const searched: ReadonlySet<string> = new Set([
  'tenant',
  'trace_id',
  'attributes',
  'resource_attributes',
  'events',
  'links',
])

/** OTLP/JSON, as rows hold it. */
interface HeldValue {
  readonly stringValue?: string
  readonly intValue?: string
  readonly bytesValue?: string
  readonly doubleValue?: number | string
  readonly boolValue?: boolean
  readonly arrayValue?: { readonly values: readonly HeldValue[] }
  readonly kvlistValue?: { readonly values: readonly { readonly value?: HeldValue }[] }
}

/**
 * Ids of a tenant's traces in a segment of warm or cold of which some span, resource, event or link has
 * the attribute `field` with a value that `isWanted`. It is asked with texts as the tier has them: of a number
 * the digits, in cold the token, of a list each member's. None where the segment is gone.
 */
export async function findInSegment(
  store: BlobStore,
  key: string,
  tenant: string,
  field: string,
  isWanted: (text: string) => boolean,
): Promise<Set<string>> {
  const found = new Set<string>()
  const columns = spanColumns.filter(({ name }) => searched.has(name))
  const read = (object: ParquetObject): Promise<Searched[]> => readRows(object, columns)
  const rows = (await readParquet(store, key, read)) ?? []
  for (const row of rows) {
    if (row.tenant !== tenant || found.has(row.trace_id)) continue
    if (hasAttribute(row, field, isWanted)) found.add(row.trace_id)
  }
  return found
}

/** The same of one row. */
export function hasAttribute(
  row: Pick<SpanRow, 'attributes' | 'resource_attributes' | 'events' | 'links'>,
  field: string,
  isWanted: (text: string) => boolean,
): boolean {
  const named = JSON.stringify(field)
  const has = (json: string): boolean => json.includes(named) && valuesOf(json, field, isWanted)
  return has(row.attributes) || has(row.resource_attributes) || has(row.events) || has(row.links)
}

/**
 * The same in a segment of the ledger, kept and dropped traces alike: by what their slices hold of the attribute
 * for the rules that asked for it. A text of more than 64 bytes is in no such fact, nor is a list.
 */
export async function findInLedger(
  store: BlobStore,
  key: string,
  tenant: string,
  field: string,
  isWanted: (text: string) => boolean,
): Promise<Set<string>> {
  const found = new Set<string>()
  const rows = await readAllLedger(store, key, ['tenant', 'trace_id', 'decision'])
  for (const [n, row] of rows.entries()) {
    if (n % atOnce === 0) await setImmediate()
    if (row.tenant !== tenant || found.has(row.trace_id)) continue
    const { slices } = decisionOf(row)
    if (slices.some(({ lists }) => hasCell(lists, field, isWanted))) found.add(row.trace_id)
  }
  return found
}

/** Decisions that are parsed before others have their turn. */
const atOnce = 256

function hasCell(
  { columns = [], rows = [] }: Pick<SliceFacts, 'columns' | 'rows'>,
  field: string,
  isWanted: (text: string) => boolean,
): boolean {
  const at = columns.indexOf(field)
  if (at < 0) return false
  return rows.some(row => {
    const cell = row[at] ?? null
    return cell !== null && typeof cell !== 'object' && isWanted(String(cell))
  })
}

function valuesOf(json: string, field: string, isWanted: (text: string) => boolean): boolean {
  const held: unknown = JSON.parse(json)
  if (!Array.isArray(held)) return matches((held as Record<string, HeldValue>)[field], isWanted)
  return held.some(({ attributes }: { attributes: readonly { key: string; value: HeldValue }[] }) =>
    attributes.some(({ key, value }) => key === field && matches(value, isWanted)),
  )
}

function matches(value: HeldValue | undefined, isWanted: (text: string) => boolean): boolean {
  if (value === undefined) return false
  const { stringValue, intValue, bytesValue, doubleValue, boolValue } = value
  const one = stringValue ?? intValue ?? bytesValue ?? doubleValue ?? boolValue
  if (one !== undefined) return isWanted(String(one))
  const { arrayValue, kvlistValue } = value
  return (
    arrayValue?.values.some(member => matches(member, isWanted)) === true ||
    kvlistValue?.values.some(member => matches(member.value, isWanted)) === true
  )
}
