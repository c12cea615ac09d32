import type { Decision, PackedSlice, RuleAnswer, Verdict } from '@winnow/model'
import { foldTrace, type TraceFacts } from '../fold.ts'
import { type Policy, type RuleKind, type RuleSpec, ruleName } from '../policy-file.ts'
import { withRequests } from '../revise.ts'
import { type CompiledPolicy, compilePolicy, type Rule } from '../rules.ts'
import { judge, randomnessText } from '../verdict.ts'

export interface CandidateVerdict {
  readonly verdict: Verdict
  /** The primary rule of a keep; `ordinary` of a drop. */
  readonly rule: string
  /** The policy that decided did not ask what a rule needs an answer of; the rule does not match. */
  readonly isUnasked: boolean
}

/**
 * What another policy would have said on the facts that a decision records: chance with the trace's own
 * randomness; `slow`, and a variant's place under its cap, as the decision itself answered where the rule that asked is
 * the same. A variant whose rule is another is counted under its cap in the order of the reading.
 */
export class Candidate {
  readonly #policy: CompiledPolicy
  readonly #known: (version: string) => Policy | undefined
  /** By version that decided: for each own rule the name of the one there that asks the same. */
  readonly #sames = new Map<string, readonly (string | undefined)[]>()
  /** Kept for a variant by UTC day, `<day>\n<experiment>\n<variant>`. */
  readonly #used = new Map<string, number>()

  /** `known`: the policies that decided. */
  constructor(policy: Policy, known: (version: string) => Policy | undefined) {
    this.#policy = compilePolicy(policy)
    this.#known = known
  }

  /**
   * The facts of a decision with all slices of its chain. Evaluations that came after the bytes had gone
   * are left out: under any policy they would have come too late.
   */
  factsOf(decision: Decision, slices: readonly PackedSlice[]): TraceFacts {
    const evaluations = decision.evaluations.filter(({ effect }) => effect !== 'missed')
    return foldTrace(slices, evaluations, this.#policy.variants)
  }

  /** `slices`: those of its whole chain. */
  verdictOn(
    decision: Decision,
    slices: readonly PackedSlice[],
    facts: TraceFacts,
  ): CandidateVerdict {
    const randomness = randomnessText(decision.traceId, facts)
    const sames = this.#samesOf(decision)
    const { policy, rules } = this.#policy
    const answers = rules.map((rule, at) => {
      const spec = policy.rules[at] as RuleSpec
      const same = sames[at]
      const recorded = same && decision.rules.find(({ name }) => name === same)
      if (recorded) return { ...recorded, name: ruleName(spec), probability: spec.probability }
      return this.#ask(rule, facts, decision, randomness)
    })
    const all = slices.length === 0 ? answers : withRequests(answers, decision.requests)
    const { verdict, primary } = judge(all, randomness, facts.upstream, undefined)
    this.#count(answers, facts, decision)
    const isUnasked = rules.some((_, at) => policy.rules[at]?.kind === 'slow' && !sames[at])
    return { verdict, rule: primary, isUnasked }
  }

  #ask(rule: Rule, facts: TraceFacts, decision: Decision, randomness: string): RuleAnswer {
    const { decidedAtMs } = decision
    return rule(facts, {
      nowMs: decidedAtMs,
      randomness,
      close: decision,
      earlier: () => undefined,
      slowBar: () => ({ count: 0, key: '' }),
      variantUsed: (experiment, variant) =>
        this.#used.get(armOfDay(decidedAtMs, experiment, variant)) ?? 0,
    })
  }

  #count(
    answers: readonly RuleAnswer[],
    { experiment, variant }: TraceFacts,
    { decidedAtMs }: Decision,
  ): void {
    if (experiment === null || variant === null) return
    const matched = answers.some(
      (answer, at) => answer.matched && this.#policy.policy.rules[at]?.kind === 'active-variant',
    )
    if (!matched) return
    const arm = armOfDay(decidedAtMs, experiment, variant)
    this.#used.set(arm, (this.#used.get(arm) ?? 0) + 1)
  }

  #samesOf({ policyVersion, rules }: Decision): readonly (string | undefined)[] {
    const known = this.#sames.get(policyVersion)
    if (known !== undefined) return known
    const decided = this.#known(policyVersion)
    const names = new Map(decided?.rules.map(rule => [question(rule), ruleName(rule)]))
    const sames = this.#policy.policy.rules.map(rule => {
      if (!repeating.has(rule.kind)) return undefined
      // Nobody knows the rules of a version that control has lost: a rule of the same name has to do.
      if (decided === undefined) return rules.find(({ name }) => name === ruleName(rule))?.name
      return names.get(question(rule))
    })
    this.#sames.set(policyVersion, sames)
    return sames
  }
}

/** A recorded answer says more than the facts: where a bar stood, what came first. */
const repeating: ReadonlySet<RuleKind> = new Set<RuleKind>(['slow', 'active-variant', 'condition'])

/** What a rule asks, whatever it is called and however much it keeps. */
export function question(rule: RuleSpec): string {
  return JSON.stringify({ ...rule, name: undefined, probability: undefined })
}

function armOfDay(atMs: number, experiment: string, variant: string): string {
  return `${Math.floor(atMs / 86_400_000)}\n${experiment}\n${variant}`
}
