import type { Decision, Evidence } from '@winnow/model'
import { type RevisionContext, revise } from './revise.ts'
import type { CompiledPolicy, RuleEnvironment } from './rules.ts'
import { noSlices } from './series.ts'

/** What a rule may look at beside the facts: no bar is known, and no variant has used anything. */
export function ruleEnvironment(more: Partial<RuleEnvironment> = {}): RuleEnvironment {
  return {
    nowMs: 1_000,
    randomness: '00000000000000',
    earlier: () => undefined,
    slowBar: () => ({ count: 0, key: 's o' }),
    variantUsed: () => 0,
    ...more,
  }
}

/** The same of a revision. */
export function revisionContext(
  policy: CompiledPolicy,
  more: Partial<RevisionContext> = {},
): RevisionContext {
  return {
    claim: 0,
    seq: 1,
    policy,
    nowMs: 5_000,
    spansRetentionMs: 86_400_000,
    isLaterSeries: false,
    wasKept: false,
    slowBar: () => ({ count: 0, key: 's o' }),
    variantUsed: () => 0,
    ...more,
  }
}

/** Decides on evidence as one batch; `last`: the trace's decision before it. */
export function decisionAfter(
  last: Decision | undefined,
  evidence: readonly Evidence[],
  context: RevisionContext,
): Decision | undefined {
  const inputs = evidence.map((one, at) => ({ evidence: one, appendedAtMs: 2_000 + at }))
  const series = last && { offset: 0, last, earlier: noSlices, isCut: false }
  return revise(series, inputs, context)?.decision
}
