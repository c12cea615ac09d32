import type { BlobStore } from '../blob-store.ts'
import type { Column } from '../column.ts'
import { spanColumns } from '../span-columns.ts'
import { erasedDecision } from './erased-decision.ts'
import { ledgerColumns } from './ledger-columns.ts'
import type { LedgerRow } from './ledger-row.ts'
import { decisionOf } from './ledger-rows.ts'
import { ledgerGroups } from './ledger-table.ts'
import { openParquet, type ParquetObject, readParquet, readRows } from './parquet-read.ts'
import { type EncodedGroup, parquetFile, type TraceKeyed } from './parquet-write.ts'
import type { Tier } from './segment-key.ts'
import {
  metadataFromKeyValues,
  metadataToKeyValues,
  type SegmentErasure,
  type SegmentMetadata,
} from './segment-metadata.ts'
import { packsOf, SegmentSpans } from './segment-spans.ts'

export interface EraseRequest {
  /** Of the erasure, for the object's own account of it. */
  readonly id: string
  readonly isErased: (tenant: string, traceId: string) => boolean
}

export interface SegmentErased {
  /** By this erasure, earlier calls included; undefined: nothing. */
  readonly taken: SegmentErasure | undefined
  /** Of the decisions on these traces that a segment of the ledger has; 0: none. */
  readonly lastDecidedAtMs: number
}

/**
 * Takes traces out of a segment: their rows out of warm and cold, out of the ledger all but their accounting
 * (see `erasedDecision`). The object keeps its name, its range and what it says of it, so that writers adopt
 * it and the audit finds it as before; it says itself how many rows it lacks. Done twice, it changes nothing
 * and answers the same.
 */
export async function eraseFromSegment(
  store: BlobStore,
  key: string,
  request: EraseRequest,
): Promise<SegmentErased> {
  const looked = await readParquet(store, key, async object => {
    const { tier, erasures } = metadataOf(object)
    const earlier = erasures?.find(({ id }) => id === request.id)
    return { earlier, ...(await countErased(object, tier, request)) }
  })
  if (looked === undefined) return nothing
  const { earlier: taken, rows, lastDecidedAtMs } = looked
  if (rows === 0) return { taken, lastDecidedAtMs }
  let done: SegmentErasure | undefined
  const isRewritten = await store.rewrite(key, async bytes => {
    const changed = await withoutErased(key, bytes, request)
    done = changed?.erasure
    return changed?.bytes
  })
  return { taken: isRewritten ? done : taken, lastDecidedAtMs }
}

/** Rows of traces that a segment has, as it is: what an erasure would take. 0 where it is gone. */
export async function countInSegment(
  store: BlobStore,
  key: string,
  request: Pick<EraseRequest, 'isErased'>,
): Promise<number> {
  const counted = await readParquet(store, key, object =>
    countErased(object, metadataOf(object).tier, request),
  )
  return counted?.rows ?? 0
}

const nothing: SegmentErased = { taken: undefined, lastDecidedAtMs: 0 }

/** By two or three columns: most segments have none of the traces, and are not read further. */
async function countErased(
  object: ParquetObject,
  tier: Tier,
  { isErased }: Pick<EraseRequest, 'isErased'>,
): Promise<{ readonly rows: number; readonly lastDecidedAtMs: number }> {
  const wanted = new Set(['tenant', 'trace_id', 'decided_at'])
  const columns: readonly Column<never>[] = tier === 'ledger' ? ledgerColumns : spanColumns
  const found: (TraceKeyed & { readonly decided_at?: number })[] = await readRows(
    object,
    columns.filter(({ name }) => wanted.has(name)),
  )
  let rows = 0
  let lastDecidedAtMs = 0
  for (const { tenant, trace_id, decided_at = 0 } of found) {
    if (!isErased(tenant, trace_id)) continue
    rows++
    lastDecidedAtMs = Math.max(lastDecidedAtMs, decided_at)
  }
  return { rows, lastDecidedAtMs }
}

interface Changed {
  readonly bytes: Uint8Array
  readonly erasure: SegmentErasure
}

/** The whole object without them; undefined where there is nothing left to take. */
async function withoutErased(
  key: string,
  bytes: Uint8Array,
  request: EraseRequest,
): Promise<Changed | undefined> {
  const object = await openParquet(inMemory(bytes), key)
  if (object === undefined) return undefined
  const metadata = metadataOf(object)
  return metadata.tier === 'ledger'
    ? changedLedger(object, metadata, bytes.length, request)
    : changedSpans(object, metadata, bytes.length, request)
}

async function changedSpans(
  object: ParquetObject,
  metadata: SegmentMetadata,
  bytesBefore: number,
  { id, isErased }: EraseRequest,
): Promise<Changed | undefined> {
  const rows = await readRows(object, spanColumns)
  const kept = rows.filter(row => !isErased(row.tenant, row.trace_id))
  const count = rows.length - kept.length
  if (count === 0) return undefined
  const erased = (metadata.erased ?? 0) + count
  // Cold rows are at their level already: written as they are, nothing is hashed twice.
  const groups = new SegmentSpans(packsOf(kept)).warm()
  return sealed({ ...metadata, erased }, { id, rows: count, bytes: 0 }, bytesBefore, said =>
    parquetFile(spanColumns, groups, said),
  )
}

async function changedLedger(
  object: ParquetObject,
  metadata: SegmentMetadata,
  bytesBefore: number,
  { id, isErased }: EraseRequest,
): Promise<Changed | undefined> {
  const rows: LedgerRow[] = await readRows(object, ledgerColumns)
  let count = 0
  const kept = rows.map(row => {
    if (!isErased(row.tenant, row.trace_id)) return row
    const decision = decisionOf(row)
    if (decision.erased === true) return row
    count++
    return {
      ...row,
      root_span_id: null,
      root_name: null,
      evaluations: '[]',
      decision: JSON.stringify(erasedDecision(decision)),
    }
  })
  if (count === 0) return undefined
  const groups: EncodedGroup[] = ledgerGroups(kept)
  return sealed(metadata, { id, rows: count, bytes: 0 }, bytesBefore, said =>
    parquetFile(ledgerColumns, groups, said),
  )
}

/** Written twice: what an erasure took is known once the object's length is, and does not change that. */
function sealed(
  metadata: SegmentMetadata,
  taken: SegmentErasure,
  bytesBefore: number,
  write: (said: ReturnType<typeof metadataToKeyValues>) => Uint8Array,
): Changed {
  const others = metadata.erasures?.filter(({ id }) => id !== taken.id) ?? []
  const same = metadata.erasures?.find(({ id }) => id === taken.id)
  const written = (bytes: number) => {
    const rows = taken.rows + (same?.rows ?? 0)
    const erasure = { id: taken.id, rows, bytes: bytes + (same?.bytes ?? 0) }
    const said = metadataToKeyValues({ ...metadata, erasures: [...others, erasure] })
    return { erasure, bytes: write(said) }
  }
  return written(Math.max(0, bytesBefore - written(0).bytes.length))
}

function metadataOf({ key, footer }: ParquetObject): SegmentMetadata {
  return metadataFromKeyValues(key, footer.key_value_metadata ?? [])
}

/** Bytes that are at hand, as a store to read them from. */
function inMemory(bytes: Uint8Array): Pick<BlobStore, 'read' | 'head'> {
  return {
    head: async key => ({ key, bytes: bytes.length, modifiedAtMs: 0 }),
    read: async (_, start = 0, length = Number.POSITIVE_INFINITY) => {
      const from = start < 0 ? Math.max(0, bytes.length + start) : start
      return bytes.subarray(from, Math.min(bytes.length, from + length))
    },
  }
}
