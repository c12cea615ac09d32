import type { Decision, Verdict } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import type { TraceFacts } from '../fold.ts'
import { defaultPolicy, type Policy, type RuleKind } from '../policy-file.ts'
import { compilePolicy } from '../rules.ts'
import { BacktestSums, type BacktestTotals } from './backtest-sums.ts'
import { Candidate } from './candidate.ts'
import { type LedgerBatch, type LedgerSource, ledgerDecisions } from './ledger-decisions.ts'
import { checkRecorded, type DecidedSince } from './recorded-facts.ts'
import { TierBytes } from './tier-bytes.ts'
import { openTracesMax, type TraceEnd, TraceEnds } from './trace-ends.ts'

export interface BacktestOptions extends LedgerSource {
  readonly policy: Policy
  /** By the decisions' log time, Unix milliseconds. */
  readonly sinceMs: number
  readonly untilMs?: number
  readonly tenant?: string
  /** The policies that were in force, the oldest first. */
  readonly inForce: readonly DecidedSince[]
  /** The policy behind a version. */
  readonly known: (version: string) => Policy | undefined
  /** Ids of traces that a policy has to keep; absent: those with a failed outcome. */
  readonly knownBad?: ReadonlySet<string>
  readonly onFlip?: (flip: Flip) => void
  readonly onProgress?: (progress: BacktestProgress) => void
  readonly nowMs: () => number
}

export interface BacktestProgress {
  readonly decisions: number
  readonly segments: number
  readonly ofSegments: number
}

/** A trace whose verdict the policy would change. */
export interface Flip {
  readonly tenant: string
  readonly traceId: string
  readonly before: Verdict
  readonly beforeRule: string
  readonly after: Verdict
  readonly afterRule: string
}

export interface BacktestReport extends BacktestTotals {
  readonly policy: string
  /** The policies that decided, with the decisions of each. */
  readonly decidedBy: Readonly<Record<string, number>>
  readonly since: string
  readonly until: string | null
  /** Decisions read, and the traces that they end. */
  readonly decisions: number
  readonly traces: number
  /** Traces that were kept too late for their bytes, or erased since; in no share. */
  readonly gone: number
  /** Traces with a part of their slices out of reach, judged on the rest. */
  readonly partial: number
  /** Traces decided by a policy without a `slow` rule that the policy has; it does not match them. */
  readonly unasked: number
  /** Lines of the policy's ceilings, which are left out: it keeps that much at most. */
  readonly ceilings: number
  readonly tookMs: number
}

/**
 * What another policy would have kept of the decisions since `sinceMs`, in one pass over the ledger and what is not in it
 * yet. No body is read. CONFIG_INVALID where the policy asks for a fact that was not recorded.
 */
export async function backtest(options: BacktestOptions): Promise<BacktestReport> {
  const { policy, sinceMs, inForce, nowMs, untilMs } = options
  checkRecorded(policy, inForce, sinceMs)
  const startedAtMs = nowMs()
  const run = new BacktestRun(options, await TierBytes.of(options.blobs, sinceMs))
  await run.read()
  return {
    policy: policy.version,
    decidedBy: Object.fromEntries(run.decidedBy),
    since: new Date(sinceMs).toISOString(),
    until: untilMs === undefined ? null : new Date(untilMs).toISOString(),
    decisions: run.decisions,
    traces: run.sums.traces,
    gone: run.gone,
    partial: run.partial,
    unasked: run.unasked,
    ceilings: policy.ceilings?.length ?? 0,
    ...(await run.sums.totals(run.tiers)),
    tookMs: Math.round(nowMs() - startedAtMs),
  }
}

class BacktestRun {
  readonly sums: BacktestSums
  readonly tiers: TierBytes
  readonly decidedBy = new Map<string, number>()
  decisions = 0
  gone = 0
  partial = 0
  unasked = 0
  readonly #options: BacktestOptions
  readonly #candidate: Candidate
  #segments = 0
  #ofSegments = 0

  constructor(options: BacktestOptions, tiers: TierBytes) {
    this.#options = options
    this.tiers = tiers
    this.#candidate = new Candidate(options.policy, options.known)
    this.sums = new BacktestSums(options.knownBad)
  }

  async read(): Promise<void> {
    const { sinceMs } = this.#options
    const byLog = new Map<string, TraceEnds>()
    const batches = ledgerDecisions(this.#options, sinceMs, count => {
      this.#ofSegments = count
    })
    for await (const batch of batches) {
      const id = `${batch.partition} ${batch.logId}`
      const ends = byLog.get(id) ?? new TraceEnds()
      byLog.set(id, ends)
      this.#take(batch, ends)
      const open = [...byLog.values()].reduce((sum, one) => sum + one.open, 0)
      if (open <= openTracesMax) continue
      throw new PipelineError(
        'CONFIG_INVALID',
        `more than ${openTracesMax} traces have revisions that lie apart; give a shorter window with --since`,
      )
    }
    for (const ends of byLog.values()) for (const end of ends.rest()) this.#judge(end)
  }

  #take({ key, decisions }: LedgerBatch, ends: TraceEnds): void {
    const { sinceMs, untilMs = Number.POSITIVE_INFINITY, tenant, onProgress } = this.#options
    let written = 0
    for (const placed of decisions) {
      const { decision } = placed
      written += bytesWritten(decision)
      const { decidedAtMs } = decision
      if (decidedAtMs < sinceMs || decidedAtMs >= untilMs) continue
      if (tenant !== undefined && decision.tenant !== tenant) continue
      this.decisions++
      const by = decision.policyVersion
      this.decidedBy.set(by, (this.decidedBy.get(by) ?? 0) + 1)
      const end = ends.take(placed)
      if (end !== undefined) this.#judge(end)
    }
    if (key !== undefined) {
      this.tiers.segment(key, written)
      this.#segments++
    }
    const { decisions: read } = this
    onProgress?.({ decisions: read, segments: this.#segments, ofSegments: this.#ofSegments })
  }

  #judge({ decision, slices, isPartial }: TraceEnd): void {
    // Evaluations that still await their trace: nothing was kept or dropped.
    if (decision.sliceCount === 0) return
    // Of an erased trace no fact is left to judge by.
    if (decision.gone === true || decision.erased === true) {
      this.gone++
      return
    }
    if (isPartial) this.partial++
    const { tenant, traceId, verdict, primary } = decision
    const facts = this.#candidate.factsOf(decision, slices)
    const after = this.#candidate.verdictOn(decision, slices, facts)
    if (after.isUnasked) this.unasked++
    const bytes = slices.reduce((sum, { ref }) => sum + ref.length, 0)
    this.sums.add({
      traceId,
      before: verdict,
      beforeRule: primary,
      after: after.verdict,
      afterRule: after.rule,
      bytes,
      hasFailed: hasFailedOutcome(facts),
    })
    if (verdict === after.verdict) return
    const flip = {
      before: verdict,
      beforeRule: primary,
      after: after.verdict,
      afterRule: after.rule,
    }
    this.#options.onFlip?.({ tenant, traceId, ...flip })
  }
}

/** Of slices that the decision had written; those of an earlier record of its chain are not counted. */
function bytesWritten({ write, slices }: Decision): number {
  return write.reduce((sum, at) => sum + (slices[at]?.ref.length ?? 0), 0)
}

const outcomeKinds: ReadonlySet<RuleKind> = new Set<RuleKind>([
  'judge-failed',
  'citation-failed',
  'low-csat',
  'outcome-failed',
])
const outcomes = compilePolicy({
  ...defaultPolicy,
  rules: defaultPolicy.rules.filter(({ kind }) => outcomeKinds.has(kind)),
})

/** By the default policy's measure. */
function hasFailedOutcome(facts: TraceFacts): boolean {
  if (facts.outcomes.length === 0) return false
  const environment = {
    nowMs: 0,
    randomness: '',
    earlier: () => undefined,
    slowBar: () => ({ count: 0, key: '' }),
    variantUsed: () => 0,
  }
  return outcomes.answer(facts, environment).some(({ matched }) => matched)
}
