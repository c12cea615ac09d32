import { type BlobStore, dateOf, readAllLedger } from '@winnow/storage'
import type { LedgerPlan } from './ledger-plan.ts'

/** What costs are told apart by: a column of the ledger each. */
export const dimensions = {
  tenant: 'tenant',
  rule: 'primary_rule',
  service: 'service_name',
  variant: 'experiment_variant',
  root: 'root_name',
} as const
export type Dimension = keyof typeof dimensions

/** Names of one dimension that have sums of their own; further ones are added up as {@link others}. */
export const namesMax = 1_000
export const others = '(others)'
/** Of traces without one: rootless, or of no experiment. */
export const nameless = '(none)'

const columns = [
  'tenant',
  'trace_id',
  'revision',
  'verdict',
  'primary_rule',
  'rules',
  'adjusted_count',
  'span_count',
  'slice_count',
  'gone',
  'service_name',
  'root_name',
  'experiment_variant',
  'decided_at',
  'sampling_offset',
  'bytes_written',
] as const
/** What of a ledger's row costs are summed from. */
export type CostRow = Awaited<ReturnType<typeof readAllLedger<(typeof columns)[number]>>>[number]

/** Sums over decisions; traces count once, by their last. */
export interface LedgerSum {
  decisions: number
  traces: number
  kept: number
  /** Kept by whatever rule, where this one matched too; of other dimensions as `kept`. */
  matched: number
  /** Of the slices that were written, as clients sent them. */
  bytes: number
}

const nothing = (): LedgerSum => ({ decisions: 0, traces: 0, kept: 0, matched: 0, bytes: 0 })

/** What a trace's last decision says of its earlier ones, which are read after it. */
interface Last {
  readonly weight: number
  readonly hasError: boolean
}

/** What was decided in one UTC day: in all, and by the primary rule. */
export interface LedgerDay {
  /** `2026-11-21`. */
  readonly day: string
  readonly all: LedgerSum
  readonly rules: readonly (LedgerSum & { readonly name: string })[]
}

export interface LedgerSumsOptions {
  /** Of this one alone; absent: of every tenant. */
  readonly tenant?: string | undefined
  /** Rows that it does not want count in {@link LedgerSums.fleet} alone. */
  readonly wanted?: (row: CostRow, isKept: boolean, isError: boolean) => boolean
  /** Hears of every row that was added up, of a trace the last first. */
  readonly onRow?: (row: CostRow, adds: Readonly<LedgerSum>) => void
}

/** Segments that are read at the same time: so many are in memory. */
export const readsAtOnce = 8

/**
 * Sums of the ledger's rows since a time, read backwards, {@link readsAtOnce} segments in memory. Beside them are the
 * traces with revisions that lie further back, a few in a hundred.
 */
export class LedgerSums {
  /** Of every tenant, whichever is asked for: what shares are taken of. */
  readonly fleet = nothing()
  readonly all = nothing()
  /** Of traces in which `span-error` matched. */
  readonly errors = nothing()
  segments = 0
  /** Distinct spans of all traces, dropped ones too. */
  #spans = 0
  /** Of kept traces by their weights: what all traffic would have. */
  #weightedSpans = 0
  #weightedBytes = 0
  readonly #by: ReadonlyMap<Dimension, Map<string, LedgerSum>>
  readonly #days = new Map<string, { all: LedgerSum; rules: Map<string, LedgerSum> }>()
  readonly #last = new Map<string, Last>()
  readonly #options: LedgerSumsOptions

  constructor(by: readonly Dimension[], options: LedgerSumsOptions = {}) {
    this.#by = new Map(by.map(dimension => [dimension, new Map()]))
    this.#options = options
  }

  /**
   * Reads the segments of a plan, {@link readsAtOnce} at a time. Rejects with DATA_CORRUPT for one that is no
   * segment, with STORE_UNAVAILABLE.
   */
  async read(
    blobs: BlobStore,
    { segments, sinceMs, untilMs }: LedgerPlan,
    onSegment: (read: number, of: number) => void = () => {},
  ): Promise<void> {
    const reading: Promise<CostRow[]>[] = []
    let asked = 0
    const ask = (): void => {
      const segment = segments[asked++]
      if (segment === undefined) return
      const rows = readAllLedger(blobs, segment.key, columns)
      // Who waits for it hears of it, if it comes to that.
      rows.catch(() => {})
      reading.push(rows)
    }
    while (asked < readsAtOnce) ask()
    for (let next = reading.shift(); next !== undefined; next = reading.shift()) {
      const rows = await next
      ask()
      rows.sort((a, b) => b.sampling_offset - a.sampling_offset)
      for (const row of rows) {
        if (row.decided_at >= sinceMs && row.decided_at < untilMs) this.add(row)
      }
      onSegment(++this.segments, segments.length)
    }
  }

  /** Of a trace the last decision first. */
  add(row: CostRow): void {
    const id = `${row.tenant} ${row.trace_id}`
    const later = this.#last.get(id)
    const last = later ?? { weight: row.adjusted_count, hasError: hasRule(row, 'span-error') }
    if (row.revision > 1) this.#last.set(id, last)
    else this.#last.delete(id)
    const isLast = later === undefined
    // Outcomes that still await their trace are decisions on nothing.
    const isTrace = isLast && row.slice_count > 0
    const isKept = isTrace && row.verdict === 'keep' && !row.gone
    const one = {
      decisions: 1,
      traces: Number(isTrace),
      kept: Number(isKept),
      matched: Number(isKept),
      bytes: row.bytes_written,
    }
    plus(this.fleet, one)
    const { tenant, wanted, onRow } = this.#options
    if (tenant !== undefined && row.tenant !== tenant) return
    if (wanted?.(row, isKept, last.hasError) === false) return
    onRow?.(row, one)
    plus(this.all, one)
    this.#addToDay(row, one)
    if (last.hasError) plus(this.errors, one)
    if (isTrace) this.#spans += row.span_count
    if (isKept) this.#weightedSpans += last.weight * row.span_count
    this.#weightedBytes += last.weight * row.bytes_written
    for (const [dimension, sums] of this.#by) {
      const name = row[dimensions[dimension]] ?? nameless
      plus(sumOf(sums, name), dimension === 'rule' ? { ...one, matched: 0 } : one)
      if (dimension !== 'rule' || !isKept) continue
      for (const rule of JSON.parse(row.rules) as string[]) sumOf(sums, rule).matched++
    }
  }

  #addToDay(row: CostRow, one: Readonly<LedgerSum>): void {
    const day = dateOf(row.decided_at)
    let sums = this.#days.get(day)
    if (sums === undefined) {
      sums = { all: nothing(), rules: new Map() }
      this.#days.set(day, sums)
    }
    plus(sums.all, one)
    plus(sumOf(sums.rules, row.primary_rule), one)
  }

  /** By bytes, the most first. */
  by(dimension: Dimension): (LedgerSum & { readonly name: string })[] {
    return sorted(this.#by.get(dimension) ?? new Map())
  }

  /** Days with decisions, the first first. */
  days(): LedgerDay[] {
    return [...this.#days]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([day, { all, rules }]) => ({ day, all, rules: sorted(rules) }))
  }

  /**
   * Bytes of the slices of all traces, dropped ones too: those of kept traces by their weights, scaled
   * to the spans that the ledger counts of all. Undefined where nothing was kept.
   */
  get bytesOfAll(): number | undefined {
    if (this.#weightedSpans === 0) return undefined
    return (this.#weightedBytes * this.#spans) / this.#weightedSpans
  }
}

function sorted(sums: ReadonlyMap<string, LedgerSum>): (LedgerSum & { readonly name: string })[] {
  return [...sums]
    .map(([name, sum]) => ({ name, ...sum }))
    .sort((a, b) => b.bytes - a.bytes || b.decisions - a.decisions || (a.name < b.name ? -1 : 1))
}

function sumOf(sums: Map<string, LedgerSum>, name: string): LedgerSum {
  const known = sums.get(name)
  if (known !== undefined) return known
  const isOwn = sums.size < namesMax
  const made = (isOwn ? undefined : sums.get(others)) ?? nothing()
  sums.set(isOwn ? name : others, made)
  return made
}

function plus(sum: LedgerSum, one: Readonly<LedgerSum>): void {
  sum.decisions += one.decisions
  sum.traces += one.traces
  sum.kept += one.kept
  sum.matched += one.matched
  sum.bytes += one.bytes
}

const hasRule = ({ rules }: Pick<CostRow, 'rules'>, name: string): boolean =>
  (JSON.parse(rules) as string[]).includes(name)
