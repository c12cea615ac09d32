import type { BlobStore } from '@winnow/storage'
import { planLedger } from './ledger-plan.ts'
import {
  type CostRow,
  type Dimension,
  dimensions,
  type LedgerSum,
  LedgerSums,
  nameless,
} from './ledger-sums.ts'

/** Which decisions a figure of the report adds up. */
export interface CostRowFilter {
  readonly sinceMs: number
  readonly untilMs: number
  /** Segments of the ledger that are read, the newest; absent: however many there are. */
  readonly segmentsMax?: number
  /** More that are listed are QUOTA_EXCEEDED; absent: however many there are. */
  readonly objectsMax?: number
  /** Of this one alone; absent: of every tenant. */
  readonly tenant?: string | undefined
  /** Names as the report has them, {@link nameless} for none. */
  readonly of?: Readonly<Partial<Record<Dimension, string>>>
  /** Kept traces that this rule matched, whichever was their primary one. */
  readonly matched?: string | undefined
  /** `kept`: last decisions of kept traces; `written`: whatever had bytes written; `errors`: of traces with an error. */
  readonly only?: 'kept' | 'written' | 'errors' | undefined
  /** Rows that are shown, the newest; sums are of all. */
  readonly limit: number
  /** Leaves a row out of what is shown, not out of what is added up. */
  readonly isHidden?: (tenant: string, traceId: string) => boolean
}

/** A decision, with what it adds to each figure. */
export interface ShownCostRow {
  readonly tenant: string
  readonly traceId: string
  readonly revision: number
  readonly decidedAt: string
  readonly verdict: string
  readonly rule: string
  readonly rules: readonly string[]
  readonly service: string | null
  readonly root: string | null
  readonly variant: string | null
  readonly spans: number
  readonly adds: Readonly<LedgerSum>
}

export interface CostRows {
  /** Of every decision that fits, shown or not. */
  readonly sum: LedgerSum
  /** The newest first. */
  readonly rows: readonly ShownCostRow[]
  /** Decisions that fit and are not shown: older ones. */
  readonly more: number
  /** Decisions that fit and are shown to nobody: their traces are being erased. */
  readonly withheld: number
  /** From when on these are all, the time having more segments than are read; absent: the whole time. */
  readonly reachedSince?: string
}

/**
 * The decisions that a figure of the cost report is the sum of: the same rows, read by the same fold. Rejects as
 * {@link LedgerSums.read} does.
 */
export async function findCostRows(blobs: BlobStore, filter: CostRowFilter): Promise<CostRows> {
  const { sinceMs, untilMs, segmentsMax, objectsMax, tenant, limit, isHidden } = filter
  let shown: { readonly row: CostRow; readonly adds: Readonly<LedgerSum> }[] = []
  let fitting = 0
  let withheld = 0
  const newest = () => shown.sort((a, b) => b.row.decided_at - a.row.decided_at).slice(0, limit)
  const sums = new LedgerSums([], {
    tenant,
    wanted: (row, isKept, isError) => fits(row, filter, isKept, isError),
    onRow: (row, adds) => {
      fitting++
      if (isHidden?.(row.tenant, row.trace_id) === true) {
        withheld++
        return
      }
      shown.push({ row, adds })
      if (shown.length >= 2 * limit + 1_000) shown = newest()
    },
  })
  const plan = await planLedger(blobs, {
    sinceMs,
    untilMs,
    ...(segmentsMax !== undefined && { segmentsMax }),
    ...(objectsMax !== undefined && { objectsMax }),
  })
  await sums.read(blobs, plan)
  const rows = newest()
  return {
    sum: sums.all,
    rows: rows.map(({ row, adds }) => shownRow(row, adds)),
    more: fitting - withheld - rows.length,
    withheld,
    ...(plan.sinceMs > sinceMs && { reachedSince: new Date(plan.sinceMs).toISOString() }),
  }
}

function fits(
  row: CostRow,
  { of = {}, matched, only }: CostRowFilter,
  isKept: boolean,
  isError: boolean,
): boolean {
  for (const [dimension, name] of Object.entries(of)) {
    if ((row[dimensions[dimension as Dimension]] ?? nameless) !== name) return false
  }
  if (matched !== undefined && !(isKept && rulesOf(row).includes(matched))) return false
  switch (only) {
    case 'kept':
      return isKept
    case 'written':
      return row.bytes_written > 0
    case 'errors':
      return isError
    case undefined:
      return true
  }
}

const rulesOf = ({ rules }: CostRow): readonly string[] => JSON.parse(rules) as string[]

function shownRow(row: CostRow, adds: Readonly<LedgerSum>): ShownCostRow {
  return {
    tenant: row.tenant,
    traceId: row.trace_id,
    revision: row.revision,
    decidedAt: new Date(row.decided_at).toISOString(),
    verdict: row.verdict,
    rule: row.primary_rule,
    rules: rulesOf(row),
    service: row.service_name,
    root: row.root_name,
    variant: row.experiment_variant,
    spans: row.span_count,
    adds,
  }
}
