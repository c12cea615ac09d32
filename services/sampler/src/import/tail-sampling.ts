import { PipelineError } from '@winnow/runtime'
import { parse } from 'yaml'
import {
  allOf,
  anyOf,
  type Draft,
  type Imported,
  literal,
  parenthesised,
  policyOf,
  Remarks,
  tooLong,
} from './imported.ts'
import { ottlCondition } from './ottl.ts'
import { saySettings, unmatchable, unreadable } from './tail-sampling-settings.ts'

interface Source {
  readonly [key: string]: unknown
}

/** What a policy of the Collector asks for. Undefined terms were said to be left out. */
interface Term {
  readonly when: string
  readonly probability: number
  readonly isInverted?: boolean
}

/**
 * The policies of a Collector's `tail_sampling` processor, as rules of one policy. `text` is a whole
 * configuration, or the processor's part of it. CONFIG_INVALID where it has no such policies.
 */
export function importTailSampling(text: string, file: string): Imported {
  const remarks = new Remarks()
  const processor = processorOf(parse(text), file, remarks)
  saySettings(processor, remarks)
  const policies = listOf(processor.policies)
  const drafts: Draft[] = []
  const vetoes: string[] = []
  const inverted: string[] = []
  policies.forEach((policy, at) => {
    const name = nameOf(policy, at)
    const before = remarks.lines.length
    if (policy.type === 'drop') {
      const when = dropped(policy, name, remarks)
      if (when !== undefined) vetoes.push(when)
      return
    }
    for (const { term, label } of termsOf(policy, name, remarks, true)) {
      if (term.isInverted === true) inverted.push(parenthesised(term.when))
      else drafts.push({ name: label, ...term, comments: remarks.lines.slice(before) })
    }
  })
  // An inverted policy vetoes what it names; that it samples the rest counts only where no other speaks,
  // and one that keeps nothing or is left out here speaks there too.
  if (inverted.length > 0) {
    const isAlone = inverted.length === policies.length
    const rest = allOf(inverted.map(when => `!${when}`))
    if (isAlone) drafts.push({ name: 'inverted', when: rest, probability: 1, comments: [] })
    else vetoes.push(...inverted)
  }
  return policyOf(headOf(file), vetoed(drafts, vetoes, remarks), otherwise(drafts, vetoes), remarks)
}

function headOf(file: string): string[] {
  return [
    `Imported from the tail_sampling processor of ${file}.`,
    'What the Collector calls a policy is a rule here; a policy is the ordered set of them.',
    'Which traces a percentage takes differs: here it is by the trace id, as OpenTelemetry defines it.',
  ]
}

/** A drop policy has the last word: no rule may match what it names. */
function vetoed(drafts: readonly Draft[], vetoes: readonly string[], remarks: Remarks): Draft[] {
  if (vetoes.length === 0) return drafts.slice(0, -1).concat(lastOf(drafts))
  remarks.note('drop', 'joined to every rule as what must not be; that cannot be monotone')
  const none = vetoes.map(when => `!${parenthesised(when)}`)
  return drafts.map(draft => ({ ...draft, when: allOf([draft.when, ...none]) }))
}

/** A percentage of everything in the end is what `ordinary` says. */
function lastOf(drafts: readonly Draft[]): Draft[] {
  const last = drafts.at(-1)
  return last === undefined || isShare(last) ? [] : [last]
}

function otherwise(drafts: readonly Draft[], vetoes: readonly string[]): number {
  const last = drafts.at(-1)
  return last !== undefined && isShare(last) && vetoes.length === 0 ? last.probability : 0
}

const isShare = ({ when, probability }: Draft): boolean => when === 'true' && probability < 1

interface Labelled {
  readonly term: Term
  readonly label: string
}

/** One, none where it cannot be said, or those of a composite policy. */
function termsOf(policy: Source, name: string, remarks: Remarks, isTop: boolean): Labelled[] {
  if (policy.type !== 'composite') {
    const term = termOf(policy, name, remarks, isTop)
    return term === undefined ? [] : [{ term, label: name }]
  }
  const { policy_order: order, composite_sub_policy: subs } = objectOf(policy.composite)
  remarks.lost(
    name,
    'max_total_spans_per_second and rate_allocation; its policies are rules of their own',
  )
  const byName = new Map(listOf(subs).map((sub, at) => [nameOf(sub, at), sub]))
  const names = Array.isArray(order) ? order.map(String) : [...byName.keys()]
  return names.flatMap(one => {
    const sub = byName.get(one)
    return sub === undefined ? [] : termsOf(sub, `${name}/${one}`, remarks, false)
  })
}

function dropped(policy: Source, name: string, remarks: Remarks): string | undefined {
  const subs = listOf(objectOf(policy.drop).drop_sub_policy)
  const terms = subs.map((sub, at) => termOf(sub, `${name}/${nameOf(sub, at)}`, remarks, false))
  if (terms.some(term => term === undefined || term.probability < 1)) {
    remarks.lost(name, 'a drop by chance or by rate; nothing is dropped by it')
    return undefined
  }
  return allOf(terms.map(term => (term as Term).when))
}

/** Within another policy an inverted one is what it says; on top it vetoes. */
function termOf(policy: Source, name: string, remarks: Remarks, isTop: boolean): Term | undefined {
  const type = String(policy.type)
  const own = objectOf(policy[type])
  const unread = unreadable(own) ?? unmatchable(own)
  if (unread !== undefined) {
    remarks.lost(name, `${unread}; left out`)
    return undefined
  }
  const matches = matcherOf(type, own, name, remarks)
  if (matches !== undefined) {
    if (own.invert_match !== true) return { when: matches, probability: 1 }
    if (isTop) return { when: matches, probability: 1, isInverted: true }
    return { when: `!${parenthesised(matches)}`, probability: 1 }
  }
  switch (type) {
    case 'always_sample':
      return { when: 'true', probability: 1 }
    case 'probabilistic': {
      if (own.hash_salt !== undefined)
        remarks.note(name, 'hash_salt has no use: the trace id decides')
      const probability = Math.min(1, Math.max(0, numberOf(own.sampling_percentage, 0) / 100))
      if (probability > 0) return { when: 'true', probability }
      remarks.note(name, 'keeps nothing, and is left out')
      return undefined
    }
    case 'and':
      return together(listOf(own.and_sub_policy), name, remarks)
    case 'not':
      return negated(objectOf(own.not_sub_policy), name, remarks)
    case 'rate_limiting':
    case 'bytes_limiting':
      remarks.lost(name, `${type}: a rule keeps with a probability, and no rate; left out`)
      return undefined
    default:
      if (!matcherTypes.has(type)) remarks.lost(name, `type ${type} is not known; left out`)
      return undefined
  }
}

const matcherTypes: ReadonlySet<string> = new Set([
  'latency',
  'numeric_attribute',
  'status_code',
  'string_attribute',
  'trace_state',
  'trace_flags',
  'span_count',
  'boolean_attribute',
  'ottl_condition',
])

/** All of them; a rate among them is left out, a percentage is the rule's probability. */
function together(subs: readonly Source[], name: string, remarks: Remarks): Term | undefined {
  const terms: Term[] = []
  for (const [at, sub] of subs.entries()) {
    const label = `${name}/${nameOf(sub, at)}`
    if (sub.type === 'rate_limiting' || sub.type === 'bytes_limiting') {
      remarks.lost(label, `${sub.type}: the rule keeps all that the others match`)
      continue
    }
    const term = termOf(sub, label, remarks, false)
    if (term === undefined) {
      remarks.lost(name, `left out, because ${label} is`)
      return undefined
    }
    terms.push(term)
  }
  const probability = Math.min(...terms.map(term => term.probability), 1)
  return { when: allOf(terms.map(({ when }) => when)), probability }
}

function negated(sub: Source, name: string, remarks: Remarks): Term | undefined {
  const term = termOf(sub, `${name}/${nameOf(sub, 0)}`, remarks, false)
  if (term !== undefined && term.probability === 1) {
    return { when: `!${parenthesised(term.when)}`, probability: 1 }
  }
  remarks.lost(name, 'the negation of a percentage or of what cannot be said; left out')
  return undefined
}

/** The policies that look at a trace; undefined for any other. */
function matcherOf(type: string, own: Source, name: string, remarks: Remarks): string | undefined {
  const key = literal(String(own.key ?? ''))
  switch (type) {
    case 'latency':
      return latency(own)
    case 'numeric_attribute':
      sayBounds(own, name, remarks)
      return between(`s.attribute[${key}]`, own)
    case 'status_code':
      return anyOf(listOfText(own.status_codes).map(statusIs))
    case 'string_attribute':
      if (own.enabled_regex_matching === true) remarks.note(name, tooLong)
      return texts(`attribute[${key}]`, own)
    case 'trace_state':
      return `traceState[${key}] in [${listOfText(own.values).map(literal).join(', ')}]`
    case 'trace_flags':
      return 'isSampled'
    case 'span_count':
      return spans(own)
    case 'boolean_attribute':
      return `attribute[${key}] == ${own.value === true}`
    case 'ottl_condition':
      return ottl(own, name, remarks)
    default:
      return undefined
  }
}

/** Whole milliseconds there: from the threshold on, or above it where there is an upper one. */
function latency({ threshold_ms, upper_threshold_ms }: Source): string {
  const [from, to] = [numberOf(threshold_ms, 0), numberOf(upper_threshold_ms, 0)]
  return to === 0 ? `durationMs >= ${from}` : `durationMs >= ${from + 1} && durationMs < ${to + 1}`
}

/** What there is of whole numbers alone. */
function sayBounds(own: Source, name: string, remarks: Remarks): void {
  remarks.note(
    name,
    'a double or a text counts as 0 there; here a double compares, a text does not',
  )
  for (const key of ['min_value', 'max_value']) {
    if (own[key] !== undefined && own[key] !== null && Number(own[key]) === 0) {
      remarks.lost(name, `${key} 0 is no bound for newer Collectors; here it is one`)
    }
  }
}

function between(values: string, { min_value, max_value }: Source): string {
  const bounds = [
    ...((min_value ?? undefined) === undefined ? [] : [`${values} >= ${numberOf(min_value, 0)}`]),
    ...((max_value ?? undefined) === undefined ? [] : [`${values} <= ${numberOf(max_value, 0)}`]),
  ]
  // Both have to hold for one value, and a span has one.
  return `spans.exists(s, ${bounds.length === 0 ? `${values}.isPresent()` : bounds.join(' && ')})`
}

const statusIs = (status: string): string =>
  status === 'ERROR' ? 'errorCount > 0' : `${literal(status)} in statuses`

function texts(values: string, own: Source): string {
  const wanted = listOfText(own.values)
  if (own.enabled_regex_matching === true) {
    return anyOf(wanted.map(pattern => `${values}.matches(${literal(pattern)})`))
  }
  return wanted.length === 1
    ? `${values} == ${literal(wanted[0] as string)}`
    : `${values} in [${wanted.map(literal).join(', ')}]`
}

function spans({ min_spans, max_spans }: Source): string {
  const [least, most] = [numberOf(min_spans, 0), numberOf(max_spans, 0)]
  return most === 0 ? `spanCount >= ${least}` : `spanCount >= ${least} && spanCount <= ${most}`
}

/** Any of its conditions on any span. Of span events nothing is recorded. */
function ottl({ span, spanevent }: Source, name: string, remarks: Remarks): string | undefined {
  if (listOfText(spanevent).length > 0) {
    remarks.lost(
      name,
      'spanevent: nothing of span events is recorded; these conditions are left out',
    )
  }
  const terms: string[] = []
  for (const text of listOfText(span)) {
    const condition = ottlCondition(text)
    if (condition.ok) {
      terms.push(`spans.exists(s, ${condition.cel})`)
      for (const line of condition.notes) remarks.note(name, line)
    } else remarks.lost(name, `${text}: ${condition.why}`)
  }
  return terms.length === 0 ? undefined : anyOf(terms)
}

/** Of a whole configuration the first processor of this kind. */
function processorOf(tree: unknown, file: string, remarks: Remarks): Source {
  const top = objectOf(tree)
  const processors = objectOf(top.processors ?? top)
  const [key, ...others] = Object.keys(processors).filter(name => /^tail_sampling(\/|$)/.test(name))
  for (const other of others) remarks.lost(other, `another processor; only ${key} is imported`)
  const processor = objectOf(key === undefined ? top : processors[key])
  if (Array.isArray(processor.policies)) return processor
  throw new PipelineError(
    'CONFIG_INVALID',
    `${file} has no processor tail_sampling with policies; give a Collector's configuration`,
  )
}

function nameOf(policy: Source, at: number): string {
  return typeof policy.name === 'string' && policy.name !== '' ? policy.name : `policy-${at + 1}`
}

const objectOf = (value: unknown): Source =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Source) : {}
const listOf = (value: unknown): Source[] => (Array.isArray(value) ? value.map(objectOf) : [])
const listOfText = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])
const numberOf = (value: unknown, absent: number): number =>
  Number.isFinite(Number(value ?? Number.NaN)) ? Number(value) : absent
