import { hasOwnRole } from '@winnow/assembler'
import { factTextBytesMax, type OutcomeCondition, type OutcomeRule } from '@winnow/model'
import { z } from 'zod'

/** Lines of `outcomes:`; each attribute among them is looked for in every span. */
export const outcomeRulesMax = 64
/** Bytes of an attribute's key, or of an evaluation's name. */
const nameBytesMax = 128

const name = (bytesMax: number) =>
  z.string().refine(text => text.trim() !== '' && Buffer.byteLength(text) <= bytesMax, {
    message: `give a name of 1 to ${bytesMax} bytes`,
  })

const condition = z
  .strictObject({
    scoreAbove: z.number().optional(),
    scoreBelow: z.number().optional(),
    scoreAtLeast: z.number().optional(),
    scoreAtMost: z.number().optional(),
    label: z.array(name(factTextBytesMax)).min(1).max(32).optional(),
    passed: z.boolean().optional(),
  })
  .refine(one => Object.values(one).some(value => value !== undefined), {
    message: 'is empty: give scoreAbove, scoreBelow, scoreAtLeast, scoreAtMost, label or passed',
  })

const rule = z.strictObject({
  /** One of them. A score is what Langfuse calls an evaluation. */
  from: z
    .strictObject({
      attribute: name(nameBytesMax).optional(),
      evaluation: name(nameBytesMax).optional(),
      score: name(nameBytesMax).optional(),
    })
    .refine(from => Object.values(from).filter(value => value !== undefined).length === 1, {
      message: 'give one of attribute, evaluation and score',
    }),
  to: name(factTextBytesMax - 'outcome.'.length),
  failWhen: condition.optional(),
  passWhen: condition.optional(),
})

type RuleText = z.infer<typeof rule>

/** `outcomes:`, what senders' attributes, evaluations and scores are called here, and when they fail. */
export const outcomesConfigSchema = z
  .array(rule)
  .max(outcomeRulesMax)
  .default([])
  .superRefine((rules, context) => {
    const seen = new Set<string>()
    for (const [index, { from }] of rules.entries()) {
      const key = from.attribute ?? `${from.evaluation ?? from.score}\n`
      const mistake = seen.has(key) ? 'is mapped twice: one line says what it is' : mistakeIn(from)
      seen.add(key)
      if (mistake === undefined) continue
      context.addIssue({ code: 'custom', path: [index, 'from'], message: mistake })
    }
  })
  .transform(rules => rules.map(ruleOf))

function mistakeIn({ attribute }: RuleText['from']): string | undefined {
  if (attribute === undefined) return undefined
  if (attribute.endsWith('*')) return 'ends with a star: name each attribute by itself'
  return hasOwnRole(attribute)
    ? `${attribute} has a meaning of its own already, see docs/outcomes.md; leave the line out`
    : undefined
}

function ruleOf({ from, to, failWhen, passWhen }: RuleText): OutcomeRule {
  const { attribute, evaluation = from.score ?? '' } = from
  const fail: OutcomeCondition | undefined = failWhen
  const pass: OutcomeCondition | undefined = passWhen
  return {
    from: attribute === undefined ? { evaluation } : { attribute },
    to,
    ...(fail !== undefined && { failWhen: fail }),
    ...(pass !== undefined && { passWhen: pass }),
  }
}
