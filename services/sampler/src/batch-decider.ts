import type { BusRecord } from '@winnow/bus'
import { type Decision, randomnessHex } from '@winnow/model'
import type { BaselineKey } from './baselines.ts'
import { type Outcome, outcomeOf } from './decision-metrics.ts'
import { decisionBytes } from './decision-record.ts'
import { type ParsedEvidence, parseEvidence } from './evidence-record.ts'
import { fingerprintOf } from './fingerprint.ts'
import { inOrder } from './fold.ts'
import type { InFlight } from './in-flight.ts'
import type { IndexEntry } from './index-table.ts'
import { isGivenBy, kindOf, partOf } from './limit-answer.ts'
import { type Input, type Refused, retractionsMax } from './merge.ts'
import type { PartitionState } from './partition-state.ts'
import { ruleName } from './policy-file.ts'
import type { PoliciesInForce } from './policy-follower.ts'
import { type Revision, type RevisionContext, revise } from './revise.ts'
import { armKey } from './rules.ts'
import type { Series, SliceList } from './series.ts'
import type { Shared } from './shared.ts'
import { type Quantity, quantityOf } from './slow-rule.ts'
import { thresholdHex } from './threshold-hex.ts'
import { capSpent } from './variant-spend.ts'

/** Traces whose last decisions are fetched at once. */
const chunkMax = 64

/** All of a batch that concerns one trace; it becomes one revision, or none. */
export interface Group {
  readonly tenant: string
  readonly traceId: string
  readonly inputs: Input[]
  /** Log time at the last of the inputs. */
  nowMs: number
}

/** A decision that waits to be appended and read back. */
export interface Pending {
  /** Borrowed from those in flight. */
  readonly value: Uint8Array
  readonly outcome: Outcome
}

/** A decision that was just made. */
export interface Decided {
  readonly decision: Decision
  readonly pending: Pending
  /** Slices of the series that the decision leaves out. */
  readonly earlier: SliceList
  /** The group says more than one record takes: decide it again once this one has its offset. */
  readonly isPartial: boolean
}

/** What of the process a batch needs. */
export type DeciderShared = Pick<
  Shared,
  | 'baselines'
  | 'ceilings'
  | 'config'
  | 'figures'
  | 'log'
  | 'metrics'
  | 'spends'
  | 'topics'
  | 'watch'
>

export type DecidingPolicies = Pick<PoliciesInForce, 'live' | 'shadow'>

export interface HeldPartition {
  readonly state: PartitionState
  readonly partition: number
  /** Takes the variants decided here, until the fold of `decisions` has them. */
  readonly inFlight: InFlight
}

const noCeilings = {} as const

/** Turns a batch of evidence into decisions, trace by trace in the order in which they first appear. */
export class BatchDecider {
  /** Running maximum of append times. */
  logTimeMs = 0
  readonly #shared: DeciderShared
  readonly #state: PartitionState
  readonly #partition: number
  readonly #policies: DecidingPolicies
  readonly #inFlight: InFlight
  #groups: Iterator<Group> = [].values()

  constructor(
    shared: DeciderShared,
    policies: DecidingPolicies,
    { state, partition, inFlight }: HeldPartition,
  ) {
    this.#shared = shared
    this.#state = state
    this.#partition = partition
    this.#inFlight = inFlight
    this.#policies = policies
  }

  take(records: readonly BusRecord[], logTimeMs: number): void {
    this.logTimeMs = logTimeMs
    this.#groups = this.#group(records).values()
  }

  /** The next traces to decide on; empty when all are. */
  nextChunk(): Group[] {
    const chunk: Group[] = []
    while (chunk.length < chunkMax) {
      const { value, done } = this.#groups.next()
      if (done === true) break
      chunk.push(value)
    }
    return chunk
  }

  /** The index entry whose decision has to be read; undefined where none is needed. */
  needs(group: Group): IndexEntry | undefined {
    const entry = this.#state.find(group.tenant, group.traceId)
    if (entry === undefined || this.#isOutlived(entry, group)) return undefined
    return isReplay(entry, group) ? undefined : entry
  }

  /**
   * Undefined when the evidence says nothing new. `series` has the decision that {@link needs} asked
   * for; where it is missing all the same, retention has passed it and a later series begins.
   */
  decide(
    group: Group,
    series: Series | undefined,
    claim: number,
    seq: number,
  ): Decided | undefined {
    const entry = this.#state.find(group.tenant, group.traceId)
    const isOutlived = entry !== undefined && this.#isOutlived(entry, group)
    if (entry !== undefined && !isOutlived && isReplay(entry, group)) return undefined
    const last = series?.last
    if (this.#isRefused(group, last)) return undefined
    const revision = revise(series, group.inputs, {
      claim,
      seq,
      policy: this.#policies.live,
      shadow: this.#policies.shadow,
      nowMs: group.nowMs,
      spansRetentionMs: this.#shared.config.spansRetention,
      isLaterSeries: entry !== undefined,
      wasKept: series === undefined && !isOutlived && entry?.verdict === 'keep',
      slowBar: (tenant, facts, quantile, quantity) =>
        facts.root === null
          ? { count: 0, key: '' }
          : this.#shared.baselines.bar(
              baselineKey(tenant, facts.root, facts.variant, quantity),
              quantile,
            ),
      variantUsed: (experiment, variant) =>
        this.#shared.spends.used(experiment, variant, group.nowMs),
      refused: this.#refused,
      ...this.#ceilingAt(group.nowMs),
    })
    if (revision === undefined) return undefined
    const { decision } = revision
    const { isPartial, earlier } = revision.placed
    this.#learn(last, revision)
    this.#inFlight.add(decision, decision.sliceCount === 0 && !this.#isWaiting(group))
    const { live } = this.#policies
    const outcome = outcomeOf(last, revision, live.policy)
    if (live.policy.ceilings !== undefined) this.#spendCeilings(revision)
    if (live.arms.size > 0) this.#watch(decision, outcome.isFirst, live.arms)
    const value = this.#inFlight.bytes.copy(decisionBytes(decision))
    return { decision, pending: { value, outcome }, earlier, isPartial }
  }

  #group(records: readonly BusRecord[]): Map<string, Group> {
    const groups = new Map<string, Group>()
    for (const { offset, appendedAtMs, value } of records) {
      this.logTimeMs = Math.max(this.logTimeMs, appendedAtMs)
      const parsed = this.#parse(value, offset)
      if (parsed === undefined) continue
      const { evidence } = parsed
      const { tenant, traceId } = evidence
      const key = traceId + tenant
      const input = { evidence, appendedAtMs }
      const group = groups.get(key)
      if (group === undefined) {
        groups.set(key, { tenant, traceId, inputs: [input], nowMs: this.logTimeMs })
      } else {
        group.inputs.push(input)
        group.nowMs = this.logTimeMs
      }
    }
    return groups
  }

  #parse(value: Uint8Array, offset: number): (ParsedEvidence & { ok: true }) | undefined {
    const where = `${this.#shared.topics.evidence}/${this.#partition}@${offset}`
    const parsed = parseEvidence(value, where)
    if (parsed.ok) return parsed
    this.#shared.metrics.evidenceMalformed.inc()
    this.#shared.log.warn('sampler.evidence_malformed', { where, field: parsed.mistake })
    return undefined
  }

  #isOutlived(entry: IndexEntry, group: Group): boolean {
    return group.nowMs - entry.decidedAtMs > this.#shared.config.indexLife
  }

  /** A trace without spans that finds no room among those of its tenant that wait already. */
  #isRefused(group: Group, last: Decision | undefined): boolean {
    const { tenant, inputs, nowMs } = group
    if (last !== undefined && last.sliceCount > 0) return false
    if (inputs.some(({ evidence }) => evidence.kind === 'summary')) return false
    if (this.#isWaiting(group)) return false
    if (this.#state.awaiting.hasRoom(tenant, nowMs, this.#inFlight.waiting(tenant))) return false
    for (const { evidence } of inputs) {
      if (evidence.kind === 'evaluation') this.#shared.figures.refused(evidence.name)
      if (evidence.kind === 'retraction') this.#shared.metrics.retractionsRefused.inc()
    }
    this.#shared.log.warn('sampler.awaiting_full', { tenant, max: this.#shared.config.awaitingMax })
    return true
  }

  readonly #refused = (traceId: string, { evaluations, retractions }: Refused): void => {
    const { figures, log, metrics } = this.#shared
    for (const name of evaluations) figures.refused(name)
    if (evaluations.length > 0) log.warn('sampler.evaluations_refused', { traceId })
    metrics.retractionsRefused.inc(retractions)
    if (retractions > 0) log.warn('sampler.retractions_refused', { traceId, max: retractionsMax })
  }

  #ceilingAt(nowMs: number): Pick<RevisionContext, 'ceiling'> {
    const { ceilings: specs } = this.#policies.live.policy
    if (specs === undefined) return noCeilings
    const { ceilings } = this.#shared
    return {
      ceiling: (tenant, rule, kind, asked) =>
        ceilings.part(specs, { tenant, rule, kind, asked, partition: this.#partition }, nowMs),
    }
  }

  /** Matches count against their ceilings once, with the revision that was given a part of it. */
  #spendCeilings({ decision, facts }: Revision): void {
    // What is given before the spans is kept once they come, by the draw that they do not change.
    const randomness = randomnessHex(decision.traceId, facts.rv)
    const { tenant, revision, decidedAtMs } = decision
    const { policy } = this.#policies.live
    for (const answer of decision.rules) {
      const part = answer.matched ? partOf(answer) : undefined
      const { name: rule, probability } = answer
      if (part === undefined || !isGivenBy(answer, revision)) continue
      const asked = policy.rules.find(spec => ruleName(spec) === rule)?.probability ?? 1
      const isKept = randomness >= thresholdHex(probability)
      const kind = kindOf(answer, facts)
      const match = { tenant, rule, kind, asked, isKept, partition: this.#partition }
      this.#shared.ceilings.note(match, part.per, decidedAtMs)
      if (!isKept && randomness >= thresholdHex(asked)) this.#shared.ceilings.thinned(tenant, rule)
    }
  }

  #watch(decision: Decision, isFirst: boolean, arms: ReadonlySet<string>): void {
    const { experiment, variant, decidedAtMs } = decision
    const isNamed = experiment !== null && variant !== null
    const arm = isNamed ? armKey(experiment, variant) : undefined
    // Clients name what they like; only the policy's arms are a bounded number.
    const known = arm !== undefined && arms.has(arm) ? arm : undefined
    if (isFirst) this.#shared.watch.forecast.note(known, decidedAtMs)
    if (!isNamed) return
    const cap = capSpent(decision)
    if (cap !== undefined) this.#shared.spends.took(experiment, variant, Number(cap))
  }

  #isWaiting({ tenant, traceId, nowMs }: Group): boolean {
    return this.#state.awaiting.has(tenant, traceId, nowMs)
  }

  /** A trace enters its baseline once, after it was judged: with the first revision that has a root. */
  #learn(last: Decision | undefined, { decision, facts }: Revision): void {
    const { root, variant } = facts
    if (root === null || (last !== undefined && last.rootSpanId !== null)) return
    const { baselines } = this.#shared
    const { tenant, decidedAtMs } = decision
    const key = baselineKey(tenant, root, variant, 'duration')
    baselines.add(this.#partition, key, root.durationMs, decidedAtMs)
    for (const quantity of this.#policies.live.quantities) {
      const of = baselineKey(tenant, root, variant, quantity)
      baselines.add(this.#partition, of, quantityOf(facts, quantity), decidedAtMs)
    }
  }
}

function baselineKey(
  tenant: string,
  { service, name }: { readonly service: string; readonly name: string },
  variant: string | null,
  quantity: Quantity,
): BaselineKey {
  return {
    tenant,
    service,
    operation: name,
    ...(variant !== null && { variant }),
    ...(quantity !== 'duration' && { quantity }),
  }
}

/** The one summary there is says exactly what the last decision knows: no need to read that. */
function isReplay(entry: IndexEntry, { inputs }: Group): boolean {
  const [only] = inputs
  if (inputs.length !== 1 || only?.evidence.kind !== 'summary') return false
  return fingerprintOf(inOrder(only.evidence.slices), [], []) === entry.fingerprint
}
