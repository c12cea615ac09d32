import type { Bus } from '@winnow/bus'
import { decodeTenantRuns } from '@winnow/model'
import { SliceIds, scanSlices } from '@winnow/otlp'
import { PipelineError } from '@winnow/runtime'
import type { PartitionVerifier, Undecided } from './partition-verifier.ts'
import type { Problem } from './problem.ts'
import { noSums, type Sums, type TenantSums } from './tenant-sums.ts'

/**
 * Whether every received span is accounted for, in spans of the slices that `spans` retains, from the
 * first record to the last one read (log time, RFC 3339 UTC):
 *
 *   received = duplicate + kept + dropped + pending + lostToRetention, and missing = doubled = 0
 */
export interface LedgerReport {
  readonly v: 1
  /** Null where nothing is retained. */
  readonly window: { readonly from: string | null; readonly to: string | null }
  /** In the slices of the window, and in those that retention passed undecided. */
  readonly received: number
  /** Repeats of spans, by the last counting decisions. */
  readonly duplicate: number
  /** Distinct spans of traces whose last counting verdict is keep, a keep that is `gone` included. */
  readonly kept: number
  readonly dropped: number
  /** In no counting decision yet, and the assembler or the sampler is still entitled to them. */
  readonly pending: number
  /** In slices that retention passed undecided; of a record whose spans are unknown it counts one. */
  readonly lostToRetention: number
  /** In no counting decision, although the stages have committed past them. */
  readonly missing: number
  /** In slices that two traces or series account for. */
  readonly doubled: number
  /** `received` less what accounts for it. */
  readonly imbalance: number
  readonly balanced: boolean
  /** All that is retained, read anew for this report; else the state that is kept up with the log. */
  readonly full: boolean
  /** More is retained than `query.verifySlicesMax` lets the state hold: the window is its youngest part. */
  readonly shortened?: true
  readonly problems: number
  /** The first {@link offendingMax} of them. */
  readonly offending: readonly Problem[]
}

/** Problems that a report names. */
export const offendingMax = 20

export interface SettledPartition {
  readonly verifier: PartitionVerifier
  readonly undecided: Undecided
}

/** `tenant` undefined: of all tenants. Each partition's part is taken from it before the next is read. */
export class ReportBuilder {
  readonly #tenants: TenantSums
  readonly #tenant: string | undefined
  readonly #offending: Problem[] = []
  #fromMs = Number.POSITIVE_INFINITY
  #toMs = Number.NEGATIVE_INFINITY
  #pending = 0
  #missing = 0
  #unread = 0
  #problems = 0
  #isShort = false

  constructor(tenants: TenantSums, tenant: string | undefined) {
    this.#tenants = tenants
    this.#tenant = tenant
  }

  async add(settled: SettledPartition, bus: Bus, topic: string): Promise<void> {
    const { undecided, verifier } = settled
    const { ledger } = verifier
    const { firstAtMs, lastAtMs } = ledger.slices.records
    this.#fromMs = Math.min(this.#fromMs, firstAtMs ?? this.#fromMs)
    this.#toMs = Math.max(this.#toMs, lastAtMs ?? this.#toMs)
    this.#pending += this.#of(undecided.pending)
    this.#missing += this.#of(undecided.missing)
    this.#isShort ||= verifier.isShort
    if (this.#tenant === undefined) this.#unread += ledger.lost.unreadRecords
    this.#problems += this.#of(undecided.missingSlices)
    for (const { tenant, offset, start } of undecided.missingAt) {
      const isOthers = this.#tenant !== undefined && tenant !== this.#tenants.find(this.#tenant)
      if (isOthers || this.#offending.length >= offendingMax) continue
      this.#offending.push(await missingSlice(bus, topic, ledger.partition, offset, start))
    }
    for (const problem of ledger.problems.all) this.#blame(problem)
    this.#problems += ledger.problems.beyond
  }

  build(full: boolean): LedgerReport {
    const sums = this.#sums()
    const received = sums.received + this.#unread
    const lostToRetention = sums.lostToRetention + this.#unread
    const { duplicate, kept, dropped, doubled } = sums
    const imbalance = received - (duplicate + kept + dropped + this.#pending + lostToRetention)
    const isWrong = this.#missing !== 0 || doubled !== 0 || this.#problems > 0
    return {
      v: 1,
      window: { from: iso(this.#fromMs), to: iso(this.#toMs) },
      received,
      duplicate,
      kept,
      dropped,
      pending: this.#pending,
      lostToRetention,
      missing: this.#missing,
      doubled,
      imbalance,
      balanced: imbalance === 0 && !isWrong,
      full,
      ...(this.#isShort && { shortened: true as const }),
      problems: this.#problems,
      offending: this.#offending,
    }
  }

  #sums(): Sums {
    if (this.#tenant === undefined) return this.#tenants.total()
    const number = this.#tenants.find(this.#tenant)
    return number === undefined ? noSums() : this.#tenants.of(number)
  }

  #of(spans: ReadonlyMap<number, number>): number {
    if (this.#tenant !== undefined) return spans.get(this.#tenants.find(this.#tenant) ?? -1) ?? 0
    let total = 0
    for (const count of spans.values()) total += count
    return total
  }

  /** A record that nobody can read is nobody's: it concerns every tenant. */
  #blame(problem: Problem): void {
    const isOthers =
      this.#tenant !== undefined && problem.tenant !== null && problem.tenant !== this.#tenant
    if (isOthers) return
    this.#problems++
    if (this.#offending.length < offendingMax) this.#offending.push(problem)
  }
}

/** The name of a slice that no decision names is found where it lies. */
async function missingSlice(
  bus: Bus,
  topic: string,
  partition: number,
  offset: number,
  start: number,
): Promise<Problem> {
  const detail = 'the stages have committed past it, and no counting decision names it'
  const unknown: Problem = {
    problem: 'missing',
    tenant: null,
    traceId: null,
    ref: { partition, offset, start, length: 0, spanCount: 0 },
    spans: 1,
    detail,
  }
  try {
    const { value, header } = await bus.fetch(topic, partition, offset)
    for (const run of (header && decodeTenantRuns(header)) ?? []) {
      const scanned = new SliceIds()
      scanSlices(value, run.start, run.start + run.length, scanned)
      const at = scanned.start.subarray(0, scanned.slices).indexOf(start)
      if (at < 0) continue
      const spanCount = scanned.spanCount[at] as number
      const ref = { partition, offset, start, length: scanned.byteLength[at] as number, spanCount }
      const words = scanned.traceIds.subarray(4 * at, 4 * at + 4)
      const traceId = Array.from(words, word => word.toString(16).padStart(8, '0')).join('')
      return { problem: 'missing', tenant: run.tenant, traceId, ref, spans: spanCount, detail }
    }
  } catch (error) {
    // Retention may have passed it a moment ago.
    if (!(error instanceof PipelineError)) throw error
  }
  return unknown
}

function iso(ms: number): string | null {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : null
}
