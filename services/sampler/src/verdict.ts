import { probabilityOf, type RuleAnswer, randomnessHex, type Verdict } from '@winnow/model'
import type { TraceFacts } from './fold.ts'
import { thresholdHex } from './threshold-hex.ts'

/** What of the last decision a verdict inherits. */
export interface EarlierVerdict {
  readonly verdict: Verdict
  /** No slice yet: nothing was dropped that could be rescued. */
  readonly isAwaiting: boolean
  readonly primary: string
  readonly stratum: string
  readonly probability: number
  readonly th: string
  readonly adjustedCount: number
}

export interface Judged {
  readonly verdict: Verdict
  readonly primary: string
  readonly probability: number
  /** 1-14 hex digits. */
  readonly th: string
  readonly adjustedCount: number
  readonly stratum: string
  /** The rules alone would drop: the keep is the earlier revision's. */
  readonly isInherited: boolean
  /** A drop became a keep. */
  readonly isRescue: boolean
}

/**
 * Keep when R >= T, with T of the highest probability among the matching rules (conventions c.11). An
 * upstream threshold is composed, never multiplied: the stricter of the two is stated as `th` and
 * weighs. It does not decide: a trace that came here has passed it, and one that contradicts it must not
 * lose a keep when a late slice states it. A rule with probability 1 stands for its own stratum alone,
 * with weight 1, and so does what it rescues: no draw was made. What a rule rescues by a draw weighs as
 * what it keeps by one. Keep is irrevocable (invariant 4).
 */
export function judge(
  answers: readonly RuleAnswer[],
  randomness: string,
  upstream: string | undefined,
  earlier: EarlierVerdict | undefined,
): Judged {
  let probability = 0
  let primary: string | undefined
  for (let i = 0; i < answers.length; i++) {
    const answer = answers[i] as RuleAnswer
    if (!answer.matched) continue
    primary ??= answer.name
    if (answer.probability > probability) probability = answer.probability
  }
  const isMust = probability >= 1
  const { hex: own, th: ownTh } = ownThreshold(probability)
  const effective = upstream === undefined || upstream < own ? own : upstream
  const keeps = probability > 0 && randomness >= own
  if (earlier?.verdict === 'keep' && !keeps) {
    const { verdict, stratum, th, adjustedCount } = earlier
    const { primary: first, probability: p } = earlier
    const inherited = { verdict, primary: first, probability: p, th, adjustedCount, stratum }
    return { ...inherited, isInherited: true, isRescue: false }
  }
  const th = effective === own ? ownTh : withoutZeros(effective)
  const dropped = { verdict: 'drop', primary: 'ordinary', stratum: 'ordinary' } as const
  const rest = { probability, th, isInherited: false }
  if (!keeps) return { ...dropped, ...rest, adjustedCount: 0, isRescue: false }
  const name = primary ?? 'ordinary'
  const isRescue = earlier?.verdict === 'drop' && !earlier.isAwaiting
  const isRescued = isRescue || earlier?.stratum === 'rescued'
  return {
    verdict: 'keep',
    primary: name,
    ...rest,
    adjustedCount: isMust ? 1 : 1 / probabilityOf(BigInt(`0x${effective}`)),
    stratum: isRescued ? 'rescued' : name,
    isRescue,
  }
}

/**
 * R in 14 hex digits, as rules and {@link judge} compare it. Of a trace without spans it is the least
 * there is, which only a must-keep passes: its spans may state another R than the trace id's, and a
 * keep by chance could not be taken back then, so the verdict would depend on what came first.
 */
export function randomnessText(traceId: string, { rv, spanCount }: TraceFacts): string {
  return spanCount === 0 ? leastRandomness : randomnessHex(traceId, rv)
}

const leastRandomness = '0'.repeat(14)

/** The threshold of a probability: as 14 hex digits, and as short as it is stated. */
interface OwnThreshold {
  readonly hex: string
  readonly th: string
}

const thresholds = new Map<number, OwnThreshold>()

/** Policies have few probabilities; at most {@link thresholdCacheMax} are remembered. */
function ownThreshold(probability: number): OwnThreshold {
  const known = thresholds.get(probability)
  if (known !== undefined) return known
  if (thresholds.size >= thresholdCacheMax) thresholds.clear()
  const hex = thresholdHex(probability)
  const own = { hex, th: withoutZeros(hex) }
  thresholds.set(probability, own)
  return own
}

const thresholdCacheMax = 256

function withoutZeros(hex: string): string {
  return hex.replace(/0+$/, '') || '0'
}
