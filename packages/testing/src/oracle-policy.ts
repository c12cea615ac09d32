export type OracleRuleName =
  | 'span-error'
  | 'judge-failed'
  | 'citation-failed'
  | 'low-csat'
  | 'outcome-failed'
  | 'slow'
  | 'active-variant'
  | 'ordinary'

export interface OraclePolicy {
  /** In order of precedence. `probability`: what the rule asks for when it matches. */
  readonly rules: readonly { readonly name: OracleRuleName; readonly probability: number }[]
  readonly variants: readonly {
    readonly experiment: string
    readonly variant: string
    /** Unix milliseconds. */
    readonly untilMs: number
  }[]
}

/** The design's default policy: everything but the ordinary whole, and of that 10 %. */
export const defaultOraclePolicy: OraclePolicy = {
  rules: [
    { name: 'span-error', probability: 1 },
    { name: 'judge-failed', probability: 1 },
    { name: 'citation-failed', probability: 1 },
    { name: 'low-csat', probability: 1 },
    { name: 'outcome-failed', probability: 1 },
    { name: 'slow', probability: 1 },
    { name: 'active-variant', probability: 1 },
    { name: 'ordinary', probability: 0.1 },
  ],
  variants: [],
}

export interface OracleEvaluation {
  readonly tenant: string
  readonly traceId: string
  readonly id: string
  readonly name: string
  readonly score?: number
  readonly label?: string
  readonly passed?: boolean
}
