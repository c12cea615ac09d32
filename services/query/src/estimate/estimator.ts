import type { DecisionHead } from '@winnow/model'
import { inclusionOf, ordinary, requested, upstreamOf, type WeighedDecision } from './inclusion.ts'
import { type QuantileEstimate, Quantiles } from './quantiles.ts'
import { shareOf } from './share.ts'
import { type Estimate, placeOf, Total } from './total.ts'

/** What is estimated of a trace. */
export type EstimatedDecision = WeighedDecision &
  Pick<DecisionHead, 'durationMs' | 'inputTokens' | 'outputTokens' | 'costUsd'>

/** Figures of all traces, dropped ones too, with what they may be: each between `low` and `high` in 95 of 100 estimates. */
export interface EstimateReport {
  readonly confidence: 0.95
  /** Kept traces that it was made from. */
  readonly kept: number
  readonly traces: Estimate
  /** Traces that each rule of the policy matches, and their share: that of `span-error` is the error rate. */
  readonly rules: readonly RuleEstimate[]
  /** Null for a bound: nothing that was seen bounds it. */
  readonly sums: Readonly<Record<SummedQuantity, Estimate>>
  /** Of the root, over the traces that have one. */
  readonly durationMs: { readonly traces: Estimate } & Readonly<
    Record<QuantileName, QuantileEstimate>
  >
  /** Every trace is in one. `isWhole`: all of it was kept, so that its figures are no estimates. */
  readonly strata: readonly StratumEstimate[]
  /** Kept traces that count for nothing: see `inclusionOf`. */
  readonly leftOut: Readonly<Record<'requested' | 'late' | 'inherited', number>>
  /** Rules beyond `estimatedRulesMax`. */
  readonly rulesOmitted: number
}

export interface RuleEstimate {
  readonly rule: string
  /** Of the kept traces. */
  readonly kept: number
  readonly traces: Estimate
  /** Null where there is no trace at all. */
  readonly share: Estimate | null
}

export interface StratumEstimate {
  readonly stratum: string
  readonly kept: number
  readonly traces: Estimate
  readonly isWhole: boolean
}

const summed = ['inputTokens', 'outputTokens', 'costUsd'] as const
export type SummedQuantity = (typeof summed)[number]

const quantiles = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99 } as const
type QuantileName = keyof typeof quantiles

/** A policy has at most 64; of several in a window as many as are worth a line. */
export const estimatedRulesMax = 256

interface Counted {
  kept: number
  readonly total: Total
}

interface CountedRule extends Counted {
  /** The least that it asked for. */
  probability: number
}

/** Estimates of all traces from the kept ones, which are given to it one by one; it remembers their durations alone. */
export class Estimator {
  readonly #spansRetentionMs: number
  readonly #rule: string | undefined
  readonly #traces = new Total()
  readonly #sums: Readonly<Record<SummedQuantity, Total>> = {
    inputTokens: new Total(),
    outputTokens: new Total(),
    costUsd: new Total(),
  }
  readonly #timed = new Total()
  readonly #durations = new Quantiles()
  readonly #rules = new Map<string, CountedRule>()
  readonly #omitted = new Set<string>()
  readonly #strata = new Map<string, Counted>()
  readonly #leftOut = { requested: 0, late: 0, inherited: 0 }
  /** Probabilities that upstream samplers gave, one of like ones. */
  readonly #upstream = new Map<number, number>()
  #kept = 0
  /** The least that any policy in the window gives to a trace of which it knows nothing; undefined: none was seen. */
  #ordinary: number | undefined

  /** `rule`: all traces that will be taken match it, so a dropped one had at least its probability. */
  constructor(spansRetentionMs: number, rule?: string) {
    this.#spansRetentionMs = spansRetentionMs
    this.#rule = rule
  }

  /** A kept trace's last decision. */
  take(decision: EstimatedDecision): void {
    this.learn(decision)
    const upstream = upstreamOf(decision)
    if (upstream !== undefined) this.#upstream.set(placeOf(upstream), upstream)
    const inclusion = inclusionOf(decision, this.#spansRetentionMs)
    if (inclusion.kind !== 'in') {
      if (inclusion.kind !== 'unread') this.#leftOut[inclusion.kind]++
      return
    }
    const { probability, stratum } = inclusion
    this.#kept++
    this.#traces.add(1, probability)
    for (const name of summed) this.#sums[name].add(decision[name], probability)
    if (decision.durationMs !== null) {
      this.#timed.add(1, probability)
      this.#durations.add(decision.durationMs, probability)
    }
    count(this.#strata, stratum, probability)
    for (const { name, matched } of decision.rules) {
      const rule = matched ? this.#rules.get(name) : undefined
      if (rule === undefined) continue
      rule.kept++
      rule.total.add(1, probability)
    }
  }

  /** What a decision says of the policy alone, where no kept trace is among those asked for. */
  learn({ rules }: Pick<EstimatedDecision, 'rules'>): void {
    for (const { name, probability } of rules) {
      if (name === ordinary) this.#ordinary = Math.min(this.#ordinary ?? 1, probability)
      if (name === ordinary || name === requested) continue
      const known = this.#rules.get(name)
      if (known !== undefined) known.probability = Math.min(known.probability, probability)
      else if (this.#rules.size < estimatedRulesMax) {
        this.#rules.set(name, { kept: 0, total: new Total(), probability })
      } else this.#omitted.add(name)
    }
  }

  report(): EstimateReport {
    const possible = this.#possible(Math.max(this.#ordinary ?? 0, this.#probabilityOf(this.#rule)))
    const { inputTokens, outputTokens, costUsd } = this.#sums
    return {
      confidence: 0.95,
      kept: this.#kept,
      traces: this.#traces.interval(possible),
      rules: [...this.#rules].map(([name, rule]) => this.#ruleEstimate(name, rule, possible)),
      sums: {
        inputTokens: inputTokens.intervalOfAny(possible),
        outputTokens: outputTokens.intervalOfAny(possible),
        costUsd: costUsd.intervalOfAny(possible),
      },
      durationMs: { traces: this.#timed.interval(possible), ...this.#quantiles(possible) },
      strata: [...this.#strata]
        .map(([stratum, { kept, total }]) => ({
          stratum,
          kept,
          traces: total.interval([]),
          isWhole: total.isWhole,
        }))
        .sort((a, b) => b.traces.value - a.traces.value),
      leftOut: { ...this.#leftOut },
      rulesOmitted: this.#omitted.size,
    }
  }

  #ruleEstimate(
    name: string,
    { kept, total, probability }: CountedRule,
    possible: readonly number[],
  ): RuleEstimate {
    const traces = total.interval(this.#possible(Math.max(possible[0] as number, probability)))
    const others = this.#traces.without(total).interval(possible)
    return { rule: name, kept, traces, share: shareOf(traces, others) }
  }

  #quantiles(possible: readonly number[]): Record<QuantileName, QuantileEstimate> {
    const names = Object.keys(quantiles) as QuantileName[]
    const found = this.#durations.estimate(
      names.map(name => quantiles[name]),
      possible,
    )
    return Object.fromEntries(
      names.map((name, at) => [name, found[at] as QuantileEstimate]),
    ) as Record<QuantileName, QuantileEstimate>
  }

  /** With which traces may have been kept that a policy gives this probability: an upstream sampler may give less. */
  #possible(probability: number): readonly number[] {
    return [probability, ...this.#upstream.values().filter(upstream => upstream < probability)]
  }

  /** 0 of a rule that no decision names. */
  #probabilityOf(rule: string | undefined): number {
    if (rule === undefined || rule === ordinary) return 0
    return this.#rules.get(rule)?.probability ?? 0
  }
}

function count(counts: Map<string, Counted>, name: string, probability: number): void {
  const known = counts.get(name) ?? { kept: 0, total: new Total() }
  counts.set(name, known)
  known.kept++
  known.total.add(1, probability)
}
