import { ownColumn } from '@winnow/model'

/** How a fact moves as more spans and evaluations of a trace become known. */
export type Moves = 'rises' | 'falls' | 'changes' | 'constant'

export interface FactDoc {
  /** As a condition writes it. `["…"]` stands for any name in quotes, `s` for a span of `spans`. */
  readonly name: string
  readonly type: FactType
  readonly moves: Moves
  /** Absent where nobody said it: a number then compares as false with everything, a text is empty. */
  readonly absent?: true
  /** `named`: only in slices that were read while a rule in force named it. */
  readonly recorded: 'always' | 'named'
  readonly meaning: string
}

export type FactType = 'number' | 'bool' | 'string' | 'list of strings' | 'values' | 'list of spans'

const fact = (
  name: string,
  type: FactType,
  moves: Moves,
  meaning: string,
  more: Partial<FactDoc> = {},
): FactDoc => ({ name, type, moves, recorded: 'always', meaning, ...more })

const absent = { absent: true } as const
const named = { recorded: 'named' } as const

const outcomeFacts = (of: string, what: string): FactDoc[] => [
  fact(`${of}.isPresent`, 'bool', 'rises', `${what} came`),
  fact(`${of}.score`, 'number', 'falls', `the lowest score of ${what}`, absent),
  fact(`${of}.scoreMax`, 'number', 'rises', 'the highest', absent),
  fact(`${of}.labels`, 'list of strings', 'rises', 'distinct labels, of at most 64 bytes'),
  fact(`${of}.failed`, 'bool', 'rises', 'one says `passed: false`'),
  fact(`${of}.passed`, 'bool', 'changes', 'one says `passed: true`, and none says false'),
]

/**
 * All that a condition may look at: the types it is checked with and the table in docs/policies.md are
 * this list. What is not in it is refused.
 */
export const conditionFacts: readonly FactDoc[] = [
  fact('spanCount', 'number', 'rises', 'distinct spans'),
  fact('duplicateSpans', 'number', 'rises', 'repeats of them'),
  fact('durationMs', 'number', 'rises', 'from the first start to the last end of all spans'),
  fact('errorCount', 'number', 'rises', 'distinct spans with status ERROR'),
  fact(
    'fatalErrors',
    'number',
    'changes',
    'of those, the root or the last attempt of its operation',
  ),
  fact('recoveredErrors', 'number', 'changes', 'of those, the others'),
  fact(
    'hasRoot',
    'bool',
    'changes',
    'a root is known; an entry span is one until its parent comes',
  ),
  fact('root.name', 'string', 'changes', 'name of the root span', absent),
  fact('root.service', 'string', 'changes', 'its service', absent),
  fact('root.durationMs', 'number', 'changes', 'its duration', absent),
  fact('root.failed', 'bool', 'changes', 'its status is ERROR'),
  fact(
    'root.attribute["…"]',
    'values',
    'changes',
    'an attribute of the root or of its resource',
    named,
  ),
  fact('service', 'string', 'changes', 'service of the root, else of the first span', absent),
  fact('services', 'list of strings', 'rises', 'distinct services'),
  fact('inputTokens', 'number', 'rises', 'tokens sent to models, over distinct spans'),
  fact('outputTokens', 'number', 'rises', 'tokens that came back'),
  fact('totalTokens', 'number', 'rises', 'both'),
  fact('costUsd', 'number', 'rises', 'what the spans say they cost'),
  fact('models', 'list of strings', 'rises', 'distinct models asked for or answering', named),
  fact('experiment', 'string', 'changes', 'experiment of the trace', absent),
  fact('variant', 'string', 'changes', 'its variant', absent),
  ...outcomeFacts('judge', 'a judge'),
  ...outcomeFacts('citation', 'a citation check'),
  fact('citation.extracted', 'number', 'rises', 'most claims that one check found', absent),
  fact('citation.supported', 'number', 'rises', 'most that one check supported', absent),
  fact('citation.missing', 'number', 'rises', 'most without support in one check', absent),
  fact('csat', 'number', 'falls', 'the lowest CSAT on 1 to 5', absent),
  ...outcomeFacts('outcome["…"]', 'an outcome of this name, with or without `outcome.` before it'),
  fact('hasFailedOutcome', 'bool', 'rises', 'any outcome says `passed: false`'),
  fact(
    'closeReason',
    'string',
    'changes',
    '`root`, `rootless`, `long`, `spans`, `bytes` or `refs`',
    absent,
  ),
  fact('complete', 'bool', 'changes', 'closed with its root and without a missing parent'),
  fact('missingParents', 'number', 'changes', 'parents that no span has'),
  fact(
    'attribute["…"]',
    'values',
    'rises',
    'what any span or its resource has under this key',
    named,
  ),
  fact(
    'traceState["…"]',
    'values',
    'rises',
    'what the trace state of any span has under this key',
    named,
  ),
  fact(
    'statuses',
    'list of strings',
    'rises',
    '`UNSET`, `OK`, `ERROR`: those that spans have',
    named,
  ),
  fact('isSampled', 'bool', 'rises', 'a span has the sampled flag of the trace context', named),
  fact(
    'spans',
    'list of spans',
    'rises',
    'for `spans.exists(s, …)`: conditions on one and the same span',
    named,
  ),
  fact('s.name', 'string', 'constant', 'its name', named),
  fact(
    's.kind',
    'string',
    'constant',
    '`internal`, `server`, `client`, `producer`, `consumer` or `unspecified`',
    named,
  ),
  fact('s.status', 'string', 'constant', '`UNSET`, `OK` or `ERROR`', named),
  fact('s.durationMs', 'number', 'constant', 'its duration', named),
  fact('s.isSampled', 'bool', 'constant', 'its sampled flag', named),
  fact('s.attribute["…"]', 'values', 'constant', 'its attribute, else its resource’s', named),
  fact('s.traceState["…"]', 'values', 'constant', 'its trace state under this key', named),
  fact('truncated', 'bool', 'rises', 'the trace has more than its facts may list'),
]

/** By name, as conditions write it with the names in quotes left out: `outcome[].score`. */
export const factByPath: ReadonlyMap<string, FactDoc> = new Map(
  conditionFacts.map(one => [one.name.replace('["…"]', '[]'), one]),
)

/** What stands first in a path. */
export const factRoots: readonly string[] = [
  ...new Set([...factByPath.keys()].map(path => path.split(/[.[]/)[0] as string)),
].filter(name => name !== 's')

/** The columns that a fact needs beside those that it names. */
export const columnsOfFact: Readonly<Record<string, readonly string[]>> = {
  models: [ownColumn.requestModel, ownColumn.responseModel],
  statuses: [ownColumn.status],
  isSampled: [ownColumn.sampled],
}

/** The columns behind the fields of a span. */
export const columnOfField: Readonly<Record<string, string>> = {
  name: ownColumn.name,
  kind: ownColumn.kind,
  status: ownColumn.status,
  durationMs: ownColumn.durationMs,
  isSampled: ownColumn.sampled,
}
