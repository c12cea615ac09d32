import { columnsMax } from '@winnow/model'
import { checkCondition } from './condition-check.ts'
import type { Policy } from './policy-file.ts'
import type { SourceMap } from './source-map.ts'

/** What is wrong with the conditions of a policy, and what of them has to be known. */
export interface ConditionFindings {
  readonly mistakes: readonly string[]
  readonly notes: readonly string[]
}

/**
 * Of a policy's tree, also where the rest of it is wrong. Each line says where: `12:9: …`, where there is
 * a file.
 */
export function checkConditions(tree: unknown, source?: SourceMap): ConditionFindings {
  const mistakes: string[] = []
  const notes: string[] = []
  const columns = new Set<string>()
  const rules = (tree as { rules?: unknown } | null)?.rules
  for (const [at, rule] of (Array.isArray(rules) ? rules : []).entries()) {
    const { kind, when } = (rule ?? {}) as { kind?: unknown; when?: unknown }
    if (kind !== 'condition' || typeof when !== 'string' || when.trim() === '') continue
    const place = (offset: number): string => {
      if (source === undefined) return `rules[${at}].when`
      const { line, column } = source.at(['rules', at, 'when'], offset)
      return `${line}:${column}: rules[${at}].when`
    }
    // The rule has it without what stands around it.
    const from = when.length - when.trimStart().length
    const check = checkCondition(when.trim())
    if (!check.ok) {
      for (const { at: offset, message } of check.mistakes) {
        mistakes.push(`${place(from + offset)}: ${message}`)
      }
      continue
    }
    const { orderDependent } = check.condition
    for (const name of check.condition.columns) columns.add(name)
    if (orderDependent !== undefined) {
      notes.push(`${place(from)}: order-dependent: ${orderDependent}`)
    }
  }
  if (columns.size > columnsMax) {
    mistakes.push(
      `rules: the conditions name ${columns.size} attributes and fields of spans, more than ${columnsMax}; name fewer`,
    )
  }
  return { mistakes, notes }
}

/** What of every span has to be recorded for the rules of a policy: see the model's columns. */
export function policyColumns(policy: Policy): string[] {
  const columns = new Set<string>()
  for (const rule of policy.rules) {
    if (rule.kind !== 'condition') continue
    const check = checkCondition(rule.when)
    if (check.ok) for (const column of check.condition.columns) columns.add(column)
  }
  return [...columns]
}

/** Why a policy and a shadow cannot be asked together; undefined where they can. */
export function jointMistake(policies: readonly Policy[]): string | undefined {
  const { size } = new Set(policies.flatMap(policyColumns))
  return size > columnsMax
    ? `rules: the conditions of the policy in force and of the shadow name ${size} attributes and fields of spans together, more than ${columnsMax}; name fewer, or end the shadow`
    : undefined
}
