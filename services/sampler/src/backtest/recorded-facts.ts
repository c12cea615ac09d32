import { PipelineError } from '@winnow/runtime'
import { policyColumns } from '../policy-conditions.ts'
import type { Policy, RuleSpec } from '../policy-file.ts'
import { ruleName } from '../policy-file.ts'
import { question } from './candidate.ts'

/** Since when a policy decided, Unix milliseconds. */
export interface DecidedSince {
  readonly atMs: number
  readonly policy: Policy
  /** Evaluated beside it: what its conditions name of spans is recorded as well. */
  readonly shadow?: Policy | undefined
}

/** A fact that a rule needs and that is recorded only while a policy in force asks for it. */
interface Need {
  readonly rule: string
  /** For people. */
  readonly fact: string
  isRecordedBy(decided: DecidedSince): boolean
}

/**
 * Refuses, with CONFIG_INVALID, a policy that asks for what was not recorded from `sinceMs` on, and names since
 * when it was. `inForce`: the policies that decided, the oldest first; before the first nothing is known.
 */
export function checkRecorded(
  candidate: Policy,
  inForce: readonly DecidedSince[],
  sinceMs: number,
): void {
  // A log without a history of policies, as an earlier release has left it.
  if (inForce.length === 0) return
  const mistakes = candidate.rules.flatMap(needsOf).flatMap(need => {
    const since = recordedSince(need, inForce)
    if (since === undefined) return [`${said(need)} is not recorded; ${remedy}`]
    if (since <= sinceMs || since === inForce[0]?.atMs) return []
    const at = new Date(since).toISOString()
    return [`${said(need)} is recorded since ${at} only: give --since ${at}`]
  })
  if (mistakes.length === 0) return
  throw new PipelineError('CONFIG_INVALID', `${candidate.version}: ${mistakes.join('; ')}`)
}

const remedy = 'put a policy that asks for it in force first, and backtest what came after'

function said({ rule, fact }: Need): string {
  return `${rule} needs ${fact}, which`
}

/** Since when every policy in force has recorded it, without a break up to now. */
function recordedSince(need: Need, inForce: readonly DecidedSince[]): number | undefined {
  let since: number | undefined
  for (const decided of inForce.toReversed()) {
    if (!need.isRecordedBy(decided)) break
    since = decided.atMs
  }
  return since
}

function needsOf(spec: RuleSpec): Need[] {
  const rule = ruleName(spec)
  if (spec.kind === 'condition') {
    const columns = policyColumns({ version: '', rules: [spec] })
    return columns.map(column => ({
      rule,
      fact: column,
      isRecordedBy: ({ policy, shadow }) =>
        [policy, shadow].some(one => one !== undefined && policyColumns(one).includes(column)),
    }))
  }
  if (spec.kind !== 'slow') return []
  const { quantile, quantity = 'duration' } = spec
  const asked = question(spec)
  return [
    {
      rule,
      fact: `the bar of ${quantity} at the quantile ${quantile}`,
      isRecordedBy: ({ policy }) => policy.rules.some(one => question(one) === asked),
    },
  ]
}
