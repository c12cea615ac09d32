import { columnMistake, columnsMax, noOutcomeMap, type OutcomeMap, ownColumn } from '@winnow/model'
import {
  type AttributeLevel,
  attributeLevel,
  compileInterest,
  genAiNames,
  type Interest,
} from '@winnow/otlp'

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
  /** A member of an OpenInference annotation: which one stands in its key. */
  annotation: 21,
  /** An attribute that `outcomes:` of the configuration names. */
  mapped: 22,
} as const

/** The span event that carries one outcome (conventions c.4). */
export const evaluationEvent = 'gen_ai.evaluation.result'

interface FactKey {
  readonly key: string
  readonly at: readonly AttributeLevel[]
  /** A {@link factRole}; 0: none. */
  readonly role: number
  /** See {@link FactInterest}. */
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
  ...named(
    ['annotations.*', 'evaluations.*', 'trace.annotations.*', 'trace.evaluations.*'],
    span,
    factRole.annotation,
  ),
]

/** Whether an attribute has a meaning of its own, so that `outcomes:` cannot give it another. */
export function hasOwnRole(key: string): boolean {
  return factKeys.some(known => known.key === key)
}

/** What a scan pulls out of every span, and what each hit means. */
export interface FactInterest {
  readonly interest: Interest
  /** By {@link hitKind}: a role, 0 where the hit is a column's alone. */
  readonly roles: Uint8Array
  /** By key: among the names of one role on one span the smallest that holds a usable value counts. */
  readonly ranks: Uint8Array
  /** By {@link hitKind}: the columns whose cells the value is. */
  readonly columnsOf: readonly (readonly number[])[]
  /** See the model's columns. Empty where no rule asks for any. */
  readonly columns: readonly string[]
  /** What evaluations and attributes of spans are called here. */
  readonly outcomes: OutcomeMap
}

/** A key means something else on a resource than on a span. */
export const hitKind = (key: number, level: number): number => key * levels + level
const levels = 4

/**
 * The attributes that facts are made of, those that rules name (`columns`), and those that the
 * configuration maps to outcomes, in one list. One that it maps means that and nothing else. RangeError for more than `columnsMax` or for one that cannot be: policies are checked where they come in.
 */
export function factInterest(
  columns: readonly string[] = [],
  outcomes: OutcomeMap = noOutcomeMap,
): FactInterest {
  const distinct = [...new Set(columns)]
  if (distinct.length > columnsMax) throw new RangeError(`more than ${columnsMax} columns`)
  for (const column of distinct) {
    const mistake = columnMistake(column)
    if (mistake !== undefined) throw new RangeError(`column ${JSON.stringify(column)} ${mistake}`)
  }
  const columnsByKey = new Map<string, number[]>()
  distinct.forEach((column, at) => {
    for (const key of keysOf(column)) columnsByKey.set(key, [...(columnsByKey.get(key) ?? []), at])
  })
  const own: readonly FactKey[] = [
    ...factKeys,
    ...outcomes.attributes.map(key => ({ key, at: span, role: factRole.mapped, rank: 0 })),
  ]
  const unlisted = [...columnsByKey.keys()].filter(key => own.every(known => known.key !== key))
  const keys: readonly FactKey[] = [
    ...own,
    ...unlisted.map(key => ({ key, at: [], role: 0, rank: 0 })),
  ]
  const wanted = keys.map(({ key, at }) => {
    return { key, at: columnsByKey.has(key) ? [...new Set([...at, ...columnLevels])] : at }
  })
  const roles = new Uint8Array(keys.length * levels)
  const columnsOf: (readonly number[])[] = new Array(keys.length * levels).fill(nothing)
  keys.forEach(({ key, at, role }, index) => {
    for (const level of at) roles[hitKind(index, attributeLevel[level])] = role
    const cells = columnsByKey.get(key)
    if (cells === undefined) return
    for (const level of columnLevels) {
      const kind = hitKind(index, attributeLevel[level])
      columnsOf[kind] = cells
      // It is found by its own name before the prefix is looked at, and means what the prefix says too.
      if (role === 0) roles[kind] = roleOfPrefix(key, level)
    }
  })
  const ranks = Uint8Array.from(keys, ({ rank }) => rank)
  const interest = compileInterest(wanted, true)
  return { interest, roles, ranks, columnsOf, columns: distinct, outcomes }
}

const nothing: readonly number[] = []
const columnLevels = ['resource', 'span'] as const

/** The attributes that fill a column; none where it is a field of the span. */
function keysOf(column: string): readonly string[] {
  if (column === ownColumn.requestModel) return genAiNames.requestModel
  if (column === ownColumn.responseModel) return genAiNames.responseModel
  return column.startsWith(':') ? [] : [column]
}

function roleOfPrefix(column: string, level: AttributeLevel): number {
  const prefix = factKeys.find(
    ({ key, at }) => key.endsWith('*') && at.includes(level) && column.startsWith(key.slice(0, -1)),
  )
  return prefix?.role ?? 0
}

/** Where no rule asks for a column. */
export const plainInterest = factInterest()

function named(
  keys: readonly string[],
  at: readonly AttributeLevel[],
  role: FactKey['role'],
): FactKey[] {
  return keys.map((key, rank) => ({ key, at, role, rank }))
}
