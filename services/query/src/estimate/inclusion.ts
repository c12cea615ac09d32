import {
  type DecisionHead,
  parseThreshold,
  probabilityOf,
  type RuleAnswer,
  thresholdOf,
} from '@winnow/model'

/** What an estimate needs to know of a decision; a search gives it without slices. */
export type WeighedDecision = Pick<
  DecisionHead,
  | 'verdict'
  | 'rules'
  | 'probability'
  | 'th'
  | 'stratum'
  | 'decidedAtMs'
  | 'weighedAtMs'
  | 'lastSpanAtMs'
  | 'sliceCount'
  | 'gone'
  | 'inherited'
>

/** How surely a trace like this one is among the kept ones, over all that its random number could have been. */
export interface Inclusion {
  readonly kind: 'in'
  /** Above 0. It stands for 1 / probability traces, itself included. */
  readonly probability: number
  readonly stratum: string
}

/** A kept trace that counts for nothing: it has not passed the draw that its like are weighed by. */
export interface LeftOut {
  readonly kind: 'requested' | 'late' | 'inherited' | 'unread'
}

/**
 * The probability with which the trace came to be kept, given all that is known of it now. Five things
 * make it differ from the probability that its decision asks for:
 *
 * - An upstream sampler's threshold is the stricter of the two as often as not: `th` is that of both, and
 *   both compare with one random number, so the smaller probability holds and not their product.
 * - A rescue is no draw: a rule matches now, and would have kept the trace with this probability whatever
 *   was decided before. So its `th` is its weight too, 1 where the rule keeps all.
 * - A rescue that somebody asked for says nothing of other traces. Such a trace counts as if nobody had
 *   asked: with what its rules give it where its random number passes that, else not at all.
 * - An outcome that came when the bytes of its dropped like had left the bus could rescue none of them. The
 *   trace counts by the draw that every trace goes through, which was before.
 * - A keep of which no rule would have it any more, because another policy is in force, is inherited. Its
 *   like whose random numbers pass the rules of now weigh what these give, and so count for it as well.
 */
export function inclusionOf(
  decision: WeighedDecision,
  spansRetentionMs: number,
): Inclusion | LeftOut {
  const { verdict, gone, sliceCount, stratum, th, inherited } = decision
  if (verdict !== 'keep' || gone === true || sliceCount === 0) return unread
  if (inherited === true) return superseded
  const stated = statedProbability(th)
  const isLate = isTooLate(decision, spansRetentionMs)
  const isRequested = decision.rules.some(({ name, matched }) => matched && name === requested)
  if (!isLate && !isRequested) return { kind: 'in', probability: stated, stratum }
  const drawn = decision.rules.find(({ name }) => name === ordinary)
  const prior = isLate ? drawn : likeliest(decision.rules)
  if (prior === undefined || drawn === undefined) return isLate ? late : chosen
  if (!passes(drawn, prior.probability)) return isLate ? late : chosen
  const probability = Math.min(stated, prior.probability)
  return probability > 0 ? { kind: 'in', probability, stratum: prior.name } : unread
}

/** The probability that an upstream sampler gave, where it is less than that of the rules: else nothing tells. */
export function upstreamOf({ th, probability }: WeighedDecision): number | undefined {
  const stated = statedProbability(th)
  // A threshold has 56 bits, so its probability is not to the last digit that which was asked for.
  return stated < probability * (1 - 1e-9) ? stated : undefined
}

/** The rule that matches every trace and comes last; its answer says the trace's random number. */
export const ordinary = 'ordinary'

/** The answer that stands for requests; see `withRequests` of the sampler. */
export const requested = 'requested'

const unread: LeftOut = { kind: 'unread' }
const chosen: LeftOut = { kind: 'requested' }
const late: LeftOut = { kind: 'late' }
const superseded: LeftOut = { kind: 'inherited' }

/** Since when the trace has had its probability, against when the last of its bytes left the bus. */
function isTooLate(decision: WeighedDecision, spansRetentionMs: number): boolean {
  const { lastSpanAtMs, decidedAtMs, weighedAtMs = decidedAtMs } = decision
  return lastSpanAtMs !== null && lastSpanAtMs + spansRetentionMs < weighedAtMs
}

/** The matching rule with the highest probability, requests aside; the first of several. */
function likeliest(rules: readonly RuleAnswer[]): RuleAnswer | undefined {
  let best: RuleAnswer | undefined
  for (const rule of rules) {
    if (!rule.matched || rule.name === requested) continue
    if (best === undefined || rule.probability > best.probability) best = rule
  }
  return best
}

/** R >= T, with the random number that the catch-all's answer states. */
function passes(drawn: RuleAnswer, probability: number): boolean {
  if (typeof drawn.value !== 'string') return probability >= 1
  return BigInt(`0x${drawn.value}`) >= thresholdOf(probability)
}

/** A policy and its upstream samplers have few thresholds. */
const probabilities = new Map<string, number>()
const probabilitiesMax = 1024

function statedProbability(th: string): number {
  const known = probabilities.get(th)
  if (known !== undefined) return known
  if (probabilities.size >= probabilitiesMax) probabilities.clear()
  const threshold = parseThreshold(th)
  const probability = threshold === undefined ? 1 : probabilityOf(threshold)
  probabilities.set(th, probability)
  return probability
}
