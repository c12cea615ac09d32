// Hot where a policy has ceilings: once for every rule that matches and has one.
import type { RuleAnswer } from '@winnow/model'
import type { CeilingPart } from './ceilings.ts'
import type { TraceFacts } from './fold.ts'
import type { RuleEnvironment } from './rules.ts'
import { thresholdHex } from './threshold-hex.ts'

/**
 * The answer of a rule that has a ceiling: a match keeps its trace with the probability that the ceiling
 * leaves its kind, which the decision then says. What an earlier revision was given stays, so that no
 * fact that comes later turns it.
 */
export function limitAnswer(
  answer: RuleAnswer,
  facts: TraceFacts,
  environment: RuleEnvironment,
): RuleAnswer {
  if (!answer.matched || environment.ceiling === undefined) return answer
  const before = environment.earlier(answer.name)
  const earlier = before?.matched === true ? before : undefined
  const part =
    earlier === undefined
      ? environment.ceiling(answer.name, kindOf(answer, facts), answer.probability)
      : partOf(earlier)
  if (part === undefined) return answer
  const probability = Math.min(answer.probability, part.probability)
  const { ceiling, per } = part
  const revision = earlier === undefined ? environment.revision : earlier.detail?.revision
  const detail = { ...answer.detail, ceiling, per, ...(revision !== undefined && { revision }) }
  const limited = { ...answer, probability, detail }
  return answer.name === 'ordinary' ? { ...limited, threshold: thresholdHex(probability) } : limited
}

/** What an answer says of the ceiling that it was given under; undefined where there was none. */
export function partOf({ probability, detail }: RuleAnswer): CeilingPart | undefined {
  if (typeof detail?.ceiling !== 'number') return undefined
  const per = detail.per === 'hour' ? 'hour' : 'minute'
  return { probability, ceiling: detail.ceiling, per }
}

/** Whether the answer is this revision's own, and repeats none before it. */
export function isGivenBy({ detail }: RuleAnswer, revision: number): boolean {
  return detail?.revision === revision
}

/**
 * What failures have in common that are one and the same: the rule's label, where and in what. Numbers
 * are left out, two errors of a trace are the same failure as one.
 */
export function kindOf({ value, detail }: RuleAnswer, { root, services }: TraceFacts): string {
  const label = typeof value === 'string' && value.length <= labelMax ? value : ''
  const outcome = detail?.outcome ?? ''
  return `${label}\0${outcome}\0${root?.service ?? services[0] ?? ''}\0${root?.name ?? ''}`
}

/** R of the catch-all is a text of its own for every trace, and no label. */
const labelMax = 13
