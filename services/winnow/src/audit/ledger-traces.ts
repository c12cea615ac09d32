import { PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  dayOf,
  defaultHotLife,
  type LedgerRow,
  readAllLedger,
} from '@winnow/storage'

/** A segment of the ledger whose traces the hot store must have. */
export interface LedgerPart {
  readonly key: string
  readonly partition: number
  readonly logId: string
  /** Of its range. */
  readonly a: number
  readonly b: number
  /** UTC, of record a. */
  readonly date: string
  readonly modifiedAtMs: number
  /** Rows of it were reduced to their accounting. */
  readonly hasErased: boolean
}

/** What the ledger says of one series of a trace. */
export interface LedgerTrace {
  readonly tenant: string
  readonly traceId: string
  readonly dayStartMs: number
  /** A revision of it had something written. */
  readonly isStored: boolean
  /** Distinct span ids, of which so many may be without rows: their slices had left the bus. */
  readonly spans: number
  readonly spansUnsure: number
  /** Of the slices, of which so many were too old to be held as text. */
  readonly bytes: number
  readonly bytesUnsure: number
}

const columns = [
  'tenant',
  'trace_id',
  'revision',
  'verdict',
  'span_count',
  'slice_count',
  'slices_written',
  'gone',
  'first_span_at',
  'decided_at',
  'series_at',
  'sampling_offset',
  'bytes_written',
] as const
type Row = Awaited<ReturnType<typeof readAllLedger<(typeof columns)[number]>>>[number]

interface Open {
  readonly row: Row
  isStored: boolean
  slices: number
  bytes: number
  bytesUnsure: number
}

/**
 * The traces of these segments, each series once. They are read backwards, so that a trace's last revision
 * comes first: in memory are one segment and the series whose first revision lies further back.
 */
export async function* ledgerTraces(
  blobs: BlobStore,
  parts: readonly LedgerPart[],
  onRead: () => void,
  onDamaged: (key: string, says: string) => void,
): AsyncGenerator<LedgerTrace> {
  const opened = new Map<string, Open>()
  const backwards = parts.toSorted((x, y) => (x.date === y.date ? y.a - x.a : before(y, x)))
  for (const { key, logId } of backwards) {
    const rows = await readOrSay(blobs, key, columns, onDamaged)
    onRead()
    rows.sort((x, y) => y.sampling_offset - x.sampling_offset)
    for (const row of rows) {
      const id = `${row.trace_id} ${row.series_at} ${logId} ${row.tenant}`
      const open = opened.get(id) ?? {
        row,
        isStored: false,
        slices: 0,
        bytes: 0,
        bytesUnsure: 0,
      }
      add(open, row)
      if (row.revision > 1) opened.set(id, open)
      else {
        opened.delete(id)
        yield closed(open)
      }
    }
  }
  // What came before lies in a segment that is missing, or damaged.
  for (const open of opened.values()) yield closed(open)
}

/** Nothing of one whose columns are damaged, though its footer is not. */
async function readOrSay<K extends keyof LedgerRow>(
  blobs: BlobStore,
  key: string,
  names: readonly K[],
  onDamaged: (key: string, says: string) => void,
): Promise<Pick<LedgerRow, K>[]> {
  try {
    return await readAllLedger(blobs, key, names)
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'DATA_CORRUPT') throw error
    onDamaged(key, error.message.replace(/^\[\w+\] /, ''))
    return []
  }
}

function before(x: LedgerPart, y: LedgerPart): number {
  return x.date < y.date ? -1 : 1
}

/** As the writer's group of the hot store takes them. */
function add(open: Open, row: Row): void {
  if (row.verdict !== 'keep' || row.slice_count === 0 || row.gone) return
  open.isStored = true
  open.slices += row.slices_written
  open.bytes += row.bytes_written
  const ageMs = row.first_span_at === null ? 0 : row.decided_at - row.first_span_at
  if (ageMs >= defaultHotLife.textMs) open.bytesUnsure += row.bytes_written
}

function closed({ row, isStored, slices, bytes, bytesUnsure }: Open): LedgerTrace {
  const { tenant, trace_id: traceId, series_at, span_count, slice_count } = row
  const dayStartMs = dayOf(series_at).startMs
  const spans = isStored ? span_count : 0
  const spansUnsure = slices === slice_count ? 0 : spans
  return { tenant, traceId, dayStartMs, isStored, spans, spansUnsure, bytes, bytesUnsure }
}

/** `<trace id> <tenant>` of what has been erased: the ledger counts it, and hot must not have it. */
export async function erasedTraces(
  blobs: BlobStore,
  parts: readonly LedgerPart[],
  onDamaged: (key: string, says: string) => void,
): Promise<Set<string>> {
  const erased = new Set<string>()
  for (const { key } of parts.filter(({ hasErased }) => hasErased)) {
    const rows = await readOrSay(blobs, key, ['tenant', 'trace_id', 'decision'], onDamaged)
    for (const { tenant, trace_id, decision } of rows) {
      // The mark as JSON writes it: no text of a sender is in a decision.
      if (decision.includes('"erased":true')) erased.add(`${trace_id} ${tenant}`)
    }
  }
  return erased
}
