import type { Verdict } from '@winnow/model'
import { type TierBytes, tierBytes } from './tier-bytes.ts'

/** One trace as it was decided, and as it would have been. */
export interface JudgedTrace {
  readonly traceId: string
  readonly before: Verdict
  readonly beforeRule: string
  readonly after: Verdict
  readonly afterRule: string
  /** Of its slices, as clients sent them. */
  readonly bytes: number
  readonly hasFailed: boolean
}

/** Known-bad traces that a report lists; all are counted. */
export const lostListedMax = 1_000

export interface Side {
  readonly traces: number
  /** Of all traces, 0 to 1. */
  readonly share: number
  /** Of the slices of kept traces. */
  readonly sliceBytes: number
}

/** Bytes of a tier before and after; null where the window has no object to reckon them from. */
export interface Change {
  readonly before: number | null
  readonly after: number | null
}

export interface RuleRow {
  readonly rule: string
  readonly before: Omit<Side, 'share'>
  readonly after: Omit<Side, 'share'>
  readonly warm: Change
  readonly cold: Change
}

export interface BacktestTotals {
  readonly kept: { readonly before: Side; readonly after: Side }
  /** By the primary rule, the most bytes first. */
  readonly rules: readonly RuleRow[]
  /** `hot` has the slices as they were sent, `warm` and `cold` are reckoned from the window's objects. */
  readonly tiers: Readonly<Record<'hot' | 'warm' | 'cold' | 'ledger', Change>>
  /** Objects of warm that its bytes were reckoned from. */
  readonly calibratedFrom: number
  readonly flips: { readonly toKeep: number; readonly toDrop: number }
  readonly knownBad: {
    /** `file`: those that were named; `outcomes`: traces with a failed outcome. */
    readonly source: 'file' | 'outcomes'
    readonly found: number
    /** Named and in no decision of the window. */
    readonly notFound: number
    /** Of a file: dropped by the policy. Of outcomes: kept before, dropped by the policy. */
    readonly lost: number
    /** Dropped before, and dropped by the policy too; of outcomes alone. */
    readonly missed: number
    /** Ids of those lost, at most {@link lostListedMax}. */
    readonly lostIds: readonly string[]
  }
}

interface Sum {
  traces: number
  bytes: number
}

const nothing = (): Sum => ({ traces: 0, bytes: 0 })

/** Sums of judged traces: as large as there are rules, whatever the number of traces. */
export class BacktestSums {
  traces = 0
  readonly #knownBad: ReadonlySet<string> | undefined
  readonly #rules = new Map<string, { readonly before: Sum; readonly after: Sum }>()
  readonly #lostIds: string[] = []
  readonly #seen = new Set<string>()
  readonly #bad = { found: 0, lost: 0, missed: 0 }
  readonly #flips = { toKeep: 0, toDrop: 0 }

  constructor(knownBad: ReadonlySet<string> | undefined) {
    this.#knownBad = knownBad
  }

  add(trace: JudgedTrace): void {
    const { before, after, bytes } = trace
    this.traces++
    if (before === 'keep') plus(this.#rule(trace.beforeRule).before, bytes)
    if (after === 'keep') plus(this.#rule(trace.afterRule).after, bytes)
    if (before !== after) this.#flips[after === 'keep' ? 'toKeep' : 'toDrop']++
    this.#addBad(trace)
  }

  async totals(tiers: TierBytes): Promise<BacktestTotals> {
    const rules = [...this.#rules]
    const sum = (when: 'before' | 'after', of: keyof Sum): number =>
      rules.reduce((total, [, row]) => total + row[when][of], 0)
    const [before, after] = [sum('before', 'bytes'), sum('after', 'bytes')]
    const side = (of: 'before' | 'after') => {
      const traces = sum(of, 'traces')
      return {
        traces,
        share: this.traces === 0 ? 0 : traces / this.traces,
        sliceBytes: sum(of, 'bytes'),
      }
    }
    const [warmRate, coldRate] = [await tiers.rate('warm'), await tiers.rate('cold')]
    const [warm, cold] = [warmRate, coldRate].map(rate => ({
      before: tierBytes(rate, before),
      after: tierBytes(rate, after),
    })) as [Change, Change]
    return {
      kept: { before: side('before'), after: side('after') },
      rules: rules
        .map(([rule, row]) => ({
          rule,
          before: shownSum(row.before),
          after: shownSum(row.after),
          warm: partOf(warm, row, { before, after }),
          cold: partOf(cold, row, { before, after }),
        }))
        .sort((a, b) => b.after.sliceBytes - a.after.sliceBytes || (a.rule < b.rule ? -1 : 1)),
      tiers: {
        hot: { before, after },
        warm,
        cold,
        ledger: { before: tiers.ledgerBytes, after: tiers.ledgerBytes },
      },
      calibratedFrom: warmRate?.objects ?? 0,
      flips: { ...this.#flips },
      knownBad: {
        source: this.#knownBad === undefined ? 'outcomes' : 'file',
        ...this.#bad,
        notFound: this.#knownBad === undefined ? 0 : this.#knownBad.size - this.#seen.size,
        lostIds: this.#lostIds,
      },
    }
  }

  #rule(name: string): { readonly before: Sum; readonly after: Sum } {
    const known = this.#rules.get(name)
    if (known !== undefined) return known
    const made = { before: nothing(), after: nothing() }
    this.#rules.set(name, made)
    return made
  }

  #addBad({ traceId, before, after, hasFailed }: JudgedTrace): void {
    const named = this.#knownBad
    if (named === undefined ? !hasFailed : !named.has(traceId)) return
    this.#bad.found++
    if (named !== undefined) this.#seen.add(traceId)
    if (after === 'keep') return
    if (named === undefined && before === 'drop') {
      this.#bad.missed++
      return
    }
    this.#bad.lost++
    if (this.#lostIds.length < lostListedMax) this.#lostIds.push(traceId)
  }
}

function plus(sum: Sum, bytes: number): void {
  sum.traces++
  sum.bytes += bytes
}

function shownSum({ traces, bytes }: Sum): Omit<Side, 'share'> {
  return { traces, sliceBytes: bytes }
}

/** By its slices' part of all that is kept. */
function partOf(
  tier: Change,
  row: { readonly before: Sum; readonly after: Sum },
  all: { readonly before: number; readonly after: number },
): Change {
  const part = (side: 'before' | 'after'): number | null => {
    const bytes = tier[side]
    if (bytes === null) return null
    return all[side] === 0 ? 0 : Math.round((bytes * row[side].bytes) / all[side])
  }
  return { before: part('before'), after: part('after') }
}
