import { type RuleAnswer, thresholdOf, thresholdText } from '@winnow/model'
import type { EstimatedDecision } from './estimator.ts'

/** The generator's source of chance, see `Random` of the package testing. */
export interface Chance {
  unit(): number
  chance(share: number): boolean
  logNormal(median: number, sigma: number): number
}

/** A trace as it is, whatever is drawn for it: estimates are held against sums over all of these. */
export interface WorldTrace {
  /** Of the rules, those that match in the end. */
  readonly matched: readonly RuleName[]
  /** With which it is kept when it is over. */
  readonly before: number
  /** With which it would have been, had its outcome come at once. */
  readonly after: number
  /** The outcome came when its bytes had left the bus. */
  readonly isTooLate: boolean
  /** The policy in force in the end has no rule for its outcome. */
  readonly isSuperseded: boolean
  /** What a sampler in front of the pipeline keeps of its like. */
  readonly upstream: number
  readonly inputTokens: number
  readonly costUsd: number
  readonly durationMs: number
  /** What its decision says whatever was drawn, but for the catch-all's answer. */
  readonly decision: EstimatedDecision
}

export const ordinaryShare = 0.1
export const retentionMs = 86_400_000

/** Of every rule of this world's policy. */
const probabilities = { 'span-error': 1, 'low-csat': 1, 'outcome-failed': 0.5, watched: 0.25 }
export type RuleName = keyof typeof probabilities
const names = Object.keys(probabilities) as RuleName[]

/** Errors and outcomes as in real traffic; a third of it went through a head sampler; costs as skewed as real ones. */
export function newWorld(random: Chance, size: number): WorldTrace[] {
  return Array.from({ length: size }, () => newTrace(random))
}

function newTrace(random: Chance): WorldTrace {
  const isError = random.chance(0.05)
  const inTime: RuleName[] = isError ? ['span-error'] : random.chance(0.1) ? ['watched'] : []
  const later: RuleName[] = random.chance(0.06)
    ? ['low-csat']
    : random.chance(0.06)
      ? ['outcome-failed']
      : []
  const inputTokens = Math.round(random.logNormal(2_000, 0.7))
  const facts = {
    isTooLate: random.chance(0.2),
    isSuperseded: random.chance(0.2),
    upstream: random.chance(1 / 3) ? 0.4 : 1,
    inputTokens,
    outputTokens: Math.round(inputTokens * random.unit()),
    costUsd: inputTokens * random.logNormal(4e-6, 0.5),
    durationMs: random.logNormal(isError ? 9_000 : 2_600, 0.6),
  }
  const before = likeliest(inTime, ordinaryShare)
  const after = likeliest(later, before)
  const matched = facts.isSuperseded ? inTime : [...inTime, ...later]
  const probability = facts.isSuperseded ? before : after
  const lateMs = facts.isTooLate ? 2 * retentionMs : retentionMs / 2
  const decision: EstimatedDecision = {
    ...facts,
    verdict: 'keep',
    rules: names.map(name => answerOf(name, matched.includes(name))),
    probability,
    th: thresholdText(thresholdOf(Math.min(probability, facts.upstream))),
    stratum: matched[0] ?? 'ordinary',
    lastSpanAtMs: 0,
    decidedAtMs: later.length === 0 ? 5_000 : lateMs,
    ...(later.length > 0 && probability === before && { weighedAtMs: 5_000 }),
    sliceCount: 1,
  }
  return { ...facts, matched, before, after, decision }
}

/**
 * What a sampler says of the trace in the end when `draw` is its random number, as `judge` and `revise`
 * decide; undefined where it never came or was dropped.
 */
export function keptOf(trace: WorldTrace, draw: number): EstimatedDecision | undefined {
  const { before, after, isTooLate, isSuperseded, upstream, decision } = trace
  // The numbers that pass a probability are the greatest of 0 to 1.
  if (draw < 1 - upstream) return undefined
  const wasKept = draw >= 1 - before
  if (!wasKept && (isTooLate || draw < 1 - after)) return undefined
  const rules = [...decision.rules, drawn(draw)]
  if (wasKept) return { ...decision, rules }
  if (!isSuperseded) return { ...decision, rules, stratum: 'rescued' }
  const th = thresholdText(thresholdOf(Math.min(after, upstream)))
  return { ...decision, rules, probability: after, th, stratum: 'rescued', inherited: true }
}

/** The same of a dropped one after somebody asked for it, who has seen what it is: whatever was drawn. */
export function requestedOf(trace: WorldTrace, draw: number): EstimatedDecision | undefined {
  const { upstream, decision } = trace
  if (draw < 1 - upstream) return undefined
  const asked = { name: 'requested', matched: true, probability: 1, value: 1 }
  return {
    ...decision,
    rules: [...decision.rules, asked, drawn(draw)],
    probability: 1,
    th: thresholdText(thresholdOf(upstream)),
    stratum: 'rescued',
  }
}

function likeliest(rules: readonly RuleName[], probability: number): number {
  return rules.reduce((most, rule) => Math.max(most, probabilities[rule]), probability)
}

function answerOf(name: RuleName, matched: boolean): RuleAnswer {
  return { name, matched, probability: probabilities[name] }
}

/** The catch-all's answer, which states R in 14 hex digits. */
function drawn(draw: number): RuleAnswer {
  const digits = Math.floor(draw * 2 ** 52)
  const value = `${digits.toString(16).padStart(13, '0')}0`
  return { name: 'ordinary', matched: true, probability: ordinaryShare, value }
}
