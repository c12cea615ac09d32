import { type AttributeLevel, compileInterest, genAiNames } from '@winnow/otlp'

/** What an attribute means to the facts. */
export const factRole = {
  service: 1,
  experiment: 2,
  variant: 3,
  flagKey: 4,
  flagVariant: 5,
  inputTokens: 6,
  outputTokens: 7,
  cost: 8,
  costDetails: 9,
  judgeScore: 10,
  judgeLabel: 11,
  judgePassed: 12,
  claimsExtracted: 13,
  claimsSupported: 14,
  claimsUnsupported: 15,
  csat: 16,
  outcome: 17,
  evaluationName: 18,
  evaluationScore: 19,
  evaluationLabel: 20,
} as const

/** The span event that carries one outcome (conventions c.4). */
export const evaluationEvent = 'gen_ai.evaluation.result'

interface FactKey {
  readonly key: string
  readonly at: readonly AttributeLevel[]
  readonly role: (typeof factRole)[keyof typeof factRole]
  /** Among the names of one role on one span the smallest that holds a usable value counts. */
  readonly rank: number
}

const span = ['span'] as const
const event = ['event'] as const
const run = ['resource', 'span'] as const
/** SDKs record a flag's evaluation as an event; some copy it to the span, or to the process. */
const flag = ['resource', 'span', 'event'] as const

const isDetails = (key: string) => key === 'langfuse.observation.cost_details'

const factKeys: readonly FactKey[] = [
  ...named(['service.name'], ['resource'], factRole.service),
  ...named(genAiNames.experimentId, run, factRole.experiment),
  ...named(genAiNames.experimentVariant, run, factRole.variant),
  ...named(genAiNames.flagKey, flag, factRole.flagKey),
  ...named(genAiNames.flagVariant, flag, factRole.flagVariant),
  ...named(genAiNames.inputTokens, span, factRole.inputTokens),
  ...named(genAiNames.outputTokens, span, factRole.outputTokens),
  ...named(genAiNames.costUsd, span, factRole.cost).map(entry =>
    isDetails(entry.key) ? { ...entry, role: factRole.costDetails } : entry,
  ),
  ...named(['judge.score'], span, factRole.judgeScore),
  ...named(['judge.label'], span, factRole.judgeLabel),
  ...named(['judge.passed'], span, factRole.judgePassed),
  ...named(['citation.claims_extracted'], span, factRole.claimsExtracted),
  ...named(['citation.claims_supported'], span, factRole.claimsSupported),
  ...named(['citation.unsupported'], span, factRole.claimsUnsupported),
  ...named(['outcome.csat_response', 'outcome.csat', 'csat'], span, factRole.csat),
  ...named(['outcome.*'], span, factRole.outcome),
  ...named(['gen_ai.evaluation.name'], event, factRole.evaluationName),
  ...named(['gen_ai.evaluation.score.value'], event, factRole.evaluationScore),
  ...named(['gen_ai.evaluation.score.label'], event, factRole.evaluationLabel),
]

/** The attributes that facts are made of: all that the assembler's scan pulls out. */
export const assemblerInterest = compileInterest(factKeys, true)

/** By index in {@link assemblerInterest}. */
export const roleOfKey = Uint8Array.from(factKeys, ({ role }) => role)
export const rankOfKey = Uint8Array.from(factKeys, ({ rank }) => rank)

function named(
  keys: readonly string[],
  at: readonly AttributeLevel[],
  role: FactKey['role'],
): FactKey[] {
  return keys.map((key, rank) => ({ key, at, role, rank }))
}
