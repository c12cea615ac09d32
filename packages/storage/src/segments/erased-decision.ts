import type { Decision, DecisionHead, RuleAnswer } from '@winnow/model'

/**
 * Of each field of a decision whether it is accounting, which stays of an erased trace, or goes. A field that is
 * not named here goes too, and one that is new in the model does not compile until somebody has thought of it.
 */
const fates: Readonly<Record<keyof Decision, 'stays' | 'goes' | 'emptied'>> = {
  v: 'stays',
  kind: 'stays',
  tenant: 'stays',
  traceId: 'stays',
  revision: 'stays',
  claim: 'stays',
  seq: 'stays',
  verdict: 'stays',
  primary: 'stays',
  rules: 'emptied',
  probability: 'stays',
  th: 'stays',
  adjustedCount: 'stays',
  stratum: 'stays',
  policyVersion: 'stays',
  shadow: 'goes',
  cause: 'stays',
  firstSpanAtMs: 'stays',
  closedAtMs: 'stays',
  decidedAtMs: 'stays',
  weighedAtMs: 'stays',
  seriesAtMs: 'stays',
  series: 'stays',
  closeReason: 'stays',
  complete: 'stays',
  missingParents: 'stays',
  spanCount: 'stays',
  duplicateSpans: 'stays',
  rootSpanId: 'emptied',
  service: 'stays',
  operation: 'emptied',
  experiment: 'stays',
  variant: 'stays',
  durationMs: 'stays',
  inputTokens: 'stays',
  outputTokens: 'stays',
  costUsd: 'stays',
  sliceCount: 'stays',
  lastSpanAtMs: 'stays',
  fingerprint: 'stays',
  slices: 'emptied',
  write: 'emptied',
  writePrev: 'goes',
  evaluations: 'emptied',
  requests: 'emptied',
  retractions: 'goes',
  retractionsRefused: 'stays',
  erased: 'emptied',
  gone: 'stays',
  inherited: 'stays',
  seriesFrom: 'stays',
  prev: 'emptied',
}

/**
 * What stays of a decision on an erased trace: that it was taken, in which order, by which rules, policy and
 * weight, over how many spans, and what they cost. Gone is whatever a sender or a person chose for this one
 * trace (ids, labels and sources of evaluations, values that rules compared, the root's name), and the slices
 * with their facts, so that nothing of it can be read from the bus or judged again.
 */
export function erasedDecision(decision: DecisionHead): Decision {
  const stays = Object.entries(decision).filter(
    ([name]) => Object.hasOwn(fates, name) && fates[name as keyof Decision] === 'stays',
  )
  return {
    ...(Object.fromEntries(stays) as unknown as Decision),
    erased: true,
    rules: decision.rules.map(answered),
    rootSpanId: null,
    operation: null,
    write: [],
    evaluations: [],
    requests: [],
    prev: null,
    slices: [],
  }
}

/** Without what it compared: a label or a number may be the very value that was to be erased. */
function answered({ name, matched, probability }: RuleAnswer): RuleAnswer {
  return { name, matched, probability }
}
