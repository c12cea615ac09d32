import { type Policy, parsePolicy } from '@winnow/sampler'
import type { OraclePolicy, OracleRuleName } from '@winnow/testing'

/** Of them a run begins with one, and reloads others. All are monotone; the first is the design's. */
const texts = [
  `
version: one
rules:
  - kind: span-error
  - kind: judge-failed
  - kind: citation-failed
  - kind: low-csat
  - kind: outcome-failed
  - kind: slow
    quantile: 0.6
  - kind: active-variant
    variants:
      - { experiment: exp, variant: b, until: 2027-06-01T00:00:00Z, dailyCap: 100000 }
  - kind: ordinary
    probability: 0.1
`,
  `
version: two
rules:
  - kind: low-csat
  - kind: judge-failed
  - kind: span-error
    probability: 0.5
  - kind: ordinary
    probability: 0.02
`,
  `
version: three
rules:
  - kind: slow
    quantile: 0.9
  - kind: span-error
  - kind: citation-failed
  - kind: outcome-failed
  - kind: ordinary
    probability: 0.4
`,
]

export interface SimulatedPolicy {
  readonly policy: Policy
  /** The same for the oracle, which shares no code with the sampler. */
  readonly oracle: OraclePolicy
}

export const policies: readonly SimulatedPolicy[] = texts.map(text => {
  const policy = parsePolicy(text)
  const rules = policy.rules.map(({ kind, probability }) => ({
    name: kind as OracleRuleName,
    probability,
  }))
  const variants = policy.rules.flatMap(rule =>
    rule.kind === 'active-variant'
      ? rule.variants.map(({ experiment, variant, until }) => ({
          experiment,
          variant,
          untilMs: Date.parse(until),
        }))
      : [],
  )
  return { policy, oracle: { rules, variants } }
})

export function policyOf(version: string): SimulatedPolicy | undefined {
  return policies.find(({ policy }) => policy.version === version)
}
