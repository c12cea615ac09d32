import { createHash } from 'node:crypto'
import { formats } from '@winnow/model'
import { PipelineError, versionKey, yamlTextMistake } from '@winnow/runtime'
import { type Document, parseDocument } from 'yaml'
import { z } from 'zod'
import { type CeilingSpec, ceilingMistakes, ceilingSchema, ceilingsMax } from './ceiling-spec.ts'
import { checkConditions } from './policy-conditions.ts'
import { SourceMap } from './source-map.ts'

const nameBytesMax = 64
const labelsMax = 64
const variantsMax = 256
/** Every decision carries every rule's answer; more rules than this would not fit its record. */
export const rulesMax = 64

const text = z.string().trim().min(1).max(nameBytesMax)
const probability = z.number().min(0).max(1)
const common = {
  /** How decisions call the rule; its kind where absent. */
  name: text.optional(),
  probability: probability.gt(0, 'must be above 0; leave the rule out instead').default(1),
}
const failing = {
  /** Labels that mean failure, compared without regard to case. */
  labels: z
    .array(text)
    .max(labelsMax)
    .default(['fail', 'failed', 'incorrect', 'policy_incorrect'])
    .transform(labels => labels.map(label => label.toLowerCase())),
  /** On a scale of 0 to 1; a score outside it says nothing. */
  scoreBelow: z.number().min(0).max(1).default(0.5),
}
const instant = z.iso.datetime({
  offset: true,
  error: 'wants a time with its zone as 2026-12-31T00:00:00Z; a variant is never watched for ever',
})

const variant = z.strictObject({
  experiment: text,
  variant: text,
  until: instant,
  /** Traces kept for it in one UTC day. */
  dailyCap: z.int().min(1).max(1_000_000_000),
  /** Part of all traces that may be kept for it; a forecast above it is warned of. */
  shareMax: z.number().gt(0).max(1).optional(),
})

const ruleSchema = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ kind: z.literal('span-error'), ...common }),
    z.strictObject({ kind: z.literal('judge-failed'), ...common, ...failing }),
    z.strictObject({ kind: z.literal('citation-failed'), ...common, ...failing }),
    z.strictObject({
      kind: z.literal('low-csat'),
      ...common,
      /** On a scale of 1 to 5, inclusive. */
      atMost: z.number().min(1).max(5).default(2),
    }),
    z.strictObject({ kind: z.literal('outcome-failed'), ...common }),
    z.strictObject({
      kind: z.literal('slow'),
      ...common,
      quantile: z.number().min(0.5).max(0.9999).default(0.99),
      /** What of the trace is compared: its root's duration where absent. */
      quantity: z.enum(['duration', 'tokens', 'cost', 'spans']).optional(),
    }),
    z.strictObject({
      kind: z.literal('active-variant'),
      ...common,
      variants: z.array(variant).max(variantsMax).default([]),
    }),
    z.strictObject({
      kind: z.literal('condition'),
      ...common,
      name: text.describe('what decisions call it'),
      /** In CEL, over the facts of condition-facts.ts. */
      when: z.string().trim().min(1),
    }),
    z.strictObject({ kind: z.literal('ordinary'), probability: probability.default(0.1) }),
  ],
  {
    error: issue =>
      issue.code === 'invalid_union'
        ? `no such kind of rule; there are ${kinds.join(', ')}`
        : undefined,
  },
)

/** Names that decisions use for something else than a rule of the policy. */
export const reservedNames: readonly string[] = ['requested', 'rescued', 'ordinary']

const policySchema = z.strictObject({
  /** The format of the file. */
  v: versionKey('policyFile').default(formats.policyFile),
  /** How people call this version; a hash of the rules is appended to it. */
  version: text.regex(/^[\w.:-]+$/, 'takes letters, digits, dot, colon, dash and underscore'),
  rules: z.array(ruleSchema).min(1).max(rulesMax),
  /** How much of what rules match may be kept; none where absent. */
  ceilings: z.array(ceilingSchema).min(1).max(ceilingsMax).optional(),
})

export const kinds = [
  'span-error',
  'judge-failed',
  'citation-failed',
  'low-csat',
  'outcome-failed',
  'slow',
  'active-variant',
  'condition',
  'ordinary',
] as const

export type RuleKind = (typeof kinds)[number]
export type RuleSpec = z.infer<typeof ruleSchema>
export type VariantSpec = z.infer<typeof variant>

/** The ordered rules in force. The first match names a decision; the highest probability makes it. */
export interface Policy {
  /** `<given version>-<first 8 hex digits of a hash of the rules>`: two texts never share one. */
  readonly version: string
  readonly rules: readonly RuleSpec[]
  readonly ceilings?: readonly CeilingSpec[]
}

export type PolicyCheck =
  | {
      readonly ok: true
      readonly mistakes: readonly []
      readonly policy: Policy
      /** What is no mistake and has to be known: one line each, with its place. */
      readonly notes: readonly string[]
    }
  | { readonly ok: false; readonly mistakes: readonly string[]; readonly policy: undefined }

/** Reads a policy's YAML and names all its mistakes at once, each with its place and what to do. */
export function checkPolicy(yaml: string): PolicyCheck {
  const read = readYaml(yaml)
  if (!read.ok) return refused(read.mistakes.map(message => `not YAML: ${message}`))
  const { tree, document } = read
  const result = policySchema.safeParse(tree)
  const conditions = checkConditions(tree, new SourceMap(yaml, document))
  const mistakes = [...mistakesOf(result.error, tree), ...conditions.mistakes]
  if (!result.success || mistakes.length > 0) return refused(mistakes)
  return { ok: true, mistakes: [], policy: versioned(result.data), notes: conditions.notes }
}

function mistakesOf(error: z.ZodError | undefined, tree: unknown): string[] {
  return [
    ...(error?.issues ?? []).map(issue => describe(issue, tree)),
    ...contradictions(looseRules(tree)).map(({ at, message }) => `${placeOf(at)}: ${message}`),
    ...looseCeilings(tree).map(({ at, message }) => `ceilings[${at}]: ${message}`),
  ]
}

/** As {@link checkPolicy}, or CONFIG_INVALID that lists every mistake. `source` is how errors call it. */
export function parsePolicy(yaml: string, source = 'policy'): Policy {
  const check = checkPolicy(yaml)
  if (check.ok) return check.policy
  throw new PipelineError(
    'CONFIG_INVALID',
    `${source}:\n${check.mistakes.map(mistake => `✖ ${mistake}`).join('\n')}`,
  )
}

/** What is in force where no file is given: each kind once, in this order. */
export const defaultPolicy: Policy = versioned(
  policySchema.parse({
    version: 'default',
    rules: kinds.filter(kind => kind !== 'condition').map(kind => ({ kind })),
  }),
)

export function ruleName(rule: RuleSpec): string {
  return rule.kind === 'ordinary' ? rule.kind : (rule.name ?? rule.kind)
}

type ReadYaml =
  | { readonly ok: true; readonly tree: unknown; readonly document: Document }
  | { readonly ok: false; readonly mistakes: readonly string[] }

/** The mapping that the text holds, or what is wrong with the text. */
function readYaml(yaml: string): ReadYaml {
  const mistake = yamlTextMistake(yaml)
  if (mistake !== undefined) return { ok: false, mistakes: [`the file ${mistake}`] }
  try {
    const document = parseDocument(yaml, { logLevel: 'error' })
    const { errors } = document
    if (errors.length > 0) {
      return { ok: false, mistakes: errors.map(({ message }) => firstLine(message)) }
    }
    const tree: unknown = document.toJS()
    return Array.isArray(tree)
      ? { ok: false, mistakes: ['the top level must be keys and values'] }
      : { ok: true, tree, document }
  } catch (error) {
    return { ok: false, mistakes: [firstLine((error as Error).message)] }
  }
}

const firstLine = (message: string): string => message.split('\n')[0] ?? ''

/** As much of a rule as the order and the names need, also where the rest of it is wrong. */
interface LooseRule {
  readonly kind: unknown
  readonly name: unknown
  readonly variants: readonly unknown[]
}

function looseRules(tree: unknown): LooseRule[] {
  const rules = (tree as { rules?: unknown } | null)?.rules
  if (!Array.isArray(rules)) return []
  return rules.map((rule: Partial<LooseRule> | null) => ({
    kind: rule?.kind,
    name: rule?.kind === 'ordinary' ? rule.kind : (rule?.name ?? rule?.kind),
    variants: Array.isArray(rule?.variants) ? rule.variants : [],
  }))
}

function looseCeilings(tree: unknown): ReturnType<typeof ceilingMistakes> {
  const { ceilings } = (tree ?? {}) as { ceilings?: unknown }
  if (!Array.isArray(ceilings)) return []
  const names = looseRules(tree).map(({ name }) => name)
  return ceilingMistakes(ceilings, names)
}

interface Contradiction {
  readonly at: readonly (string | number)[]
  readonly message: string
}

function contradictions(rules: readonly LooseRule[]): Contradiction[] {
  const found: Contradiction[] = []
  const catchAll = rules.findIndex(rule => rule.kind === 'ordinary')
  if (rules.length > 0 && catchAll === -1) {
    const message = 'end with `- kind: ordinary`, or nothing says what becomes of the rest'
    found.push({ at: ['rules'], message })
  }
  rules.forEach(({ kind, name, variants }, at) => {
    const say = (message: string, ...rest: (string | number)[]) =>
      found.push({ at: ['rules', at, ...rest], message })
    if (rules.findIndex(other => other.name === name) < at) {
      say(`${JSON.stringify(name)} is used before; give this rule another name`)
    }
    if (kind !== 'ordinary' && reservedNames.includes(String(name))) {
      say(`${JSON.stringify(name)} is reserved; choose another name`, 'name')
    }
    if (catchAll !== -1 && at > catchAll) {
      say(`comes after the catch-all \`ordinary\`; move it before rules[${catchAll}]`)
    }
    const arms = variants.map(arm => armOf(arm))
    arms.forEach((arm, index) => {
      if (arms.indexOf(arm) < index) say('is listed before; keep one', 'variants', index)
    })
  })
  return found
}

function armOf(entry: unknown): string {
  const { experiment, variant: arm } = (entry ?? {}) as Partial<VariantSpec>
  return JSON.stringify([experiment, arm])
}

function versioned({ version, rules, ceilings }: z.infer<typeof policySchema>): Policy {
  const own = { rules, ...(ceilings !== undefined && { ceilings }) }
  return { version: `${version}-${hashOf(own)}`, ...own }
}

function hashOf({ rules, ceilings }: Pick<RecordedPolicy, 'rules' | 'ceilings'>): string {
  const hashed = JSON.stringify(ceilings === undefined ? rules : { rules, ceilings })
  return createHash('sha256').update(hashed).digest('hex').slice(0, 8)
}

/** What a record of `control` says of a policy, as it was written. */
export interface RecordedPolicy {
  readonly version: string
  readonly rules: readonly unknown[]
  readonly ceilings?: readonly unknown[]
}

/**
 * The policy of a record of `control`, under the version that it names; or why it cannot be used, in one
 * line. The version has to end in the hash of the rules as they were written: what another release has
 * given a default since is no other text.
 */
export function policyOfRecord({ version, ...own }: RecordedPolicy): Policy | string {
  if (!version.endsWith(`-${hashOf(own)}`)) return 'its rules are not those of its version'
  const { rules, ceilings } = own
  const tree = { version: version.slice(0, -9), rules, ...(ceilings !== undefined && { ceilings }) }
  const result = policySchema.safeParse(tree)
  const mistakes = [...mistakesOf(result.error, tree), ...checkConditions(tree).mistakes]
  if (!result.success || mistakes.length > 0) return mistakes.join('; ')
  const { data } = result
  const limits = data.ceilings === undefined ? {} : { ceilings: data.ceilings }
  return { version, rules: data.rules, ...limits }
}

function refused(mistakes: readonly string[]): PolicyCheck {
  return { ok: false, mistakes, policy: undefined }
}

function describe(issue: z.core.$ZodIssue, tree: unknown): string {
  const place = placeOf(issue.path)
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.map(key => clipped(key)).join(', ')
    return `${place}: unknown ${names}; correct the spelling or remove it`
  }
  const value = valueAt(tree, issue.path)
  const isMissing = issue.code === 'invalid_type' && value === undefined && issue.path.length > 0
  if (isMissing) return `${place}: missing or of the wrong type; ${issue.message}`
  return `${place}: ${issue.message}${value === undefined ? '' : ` (it is ${clipped(value)})`}`
}

/** Of a value that somebody put into a policy, in a mistake. */
const shownMax = 64

function clipped(given: string): string {
  return given.length <= shownMax ? given : `${given.slice(0, shownMax)}…`
}

function placeOf(path: readonly PropertyKey[]): string {
  const steps = path.map(step => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
  return steps.join('').replace(/^\./, '') || 'the file'
}

/** A scalar as the file has it; trees and what is absent are not shown. */
function valueAt(tree: unknown, path: readonly PropertyKey[]): string | undefined {
  let value = tree
  for (const step of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[step]
  return value === null || typeof value === 'object' || value === undefined
    ? undefined
    : JSON.stringify(value)
}
