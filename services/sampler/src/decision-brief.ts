// Hot: one a decision.
import type { Decision, DecisionHead } from '@winnow/model'
import { isLimited } from './ceiling-spend.ts'
import { capSpent } from './variant-spend.ts'

/**
 * What the fold of `decisions` and the figures take of a decision, once its bytes are written. Thousands
 * wait to be read back at a time: as whole decisions they would hold their slices, rules and texts for as
 * long, and the collector would copy all of it twice.
 */
export interface DecisionBrief
  extends Pick<
    DecisionHead,
    | 'kind'
    | 'claim'
    | 'seq'
    | 'tenant'
    | 'traceId'
    | 'revision'
    | 'verdict'
    | 'primary'
    | 'probability'
    | 'cause'
    | 'decidedAtMs'
    | 'service'
    | 'experiment'
    | 'variant'
    | 'sliceCount'
    | 'fingerprint'
    | 'rules'
  > {
  readonly shadow: DecisionHead['shadow'] | undefined
  readonly isGone: boolean
}

export function briefOf(decision: Decision): DecisionBrief {
  return {
    kind: 'decision',
    claim: decision.claim,
    seq: decision.seq,
    tenant: decision.tenant,
    traceId: decision.traceId,
    revision: decision.revision,
    verdict: decision.verdict,
    primary: decision.primary,
    probability: decision.probability,
    cause: decision.cause,
    decidedAtMs: decision.decidedAtMs,
    service: decision.service,
    experiment: decision.experiment,
    variant: decision.variant,
    sliceCount: decision.sliceCount,
    fingerprint: decision.fingerprint,
    // Asked for what was spent of a cap or a ceiling, by the few that have.
    rules: hasSpent(decision) ? decision.rules : noRules,
    shadow: decision.shadow,
    isGone: decision.gone === true,
  }
}

function hasSpent(decision: Decision): boolean {
  return capSpent(decision) !== undefined || isLimited(decision)
}

const noRules: DecisionHead['rules'] = []
