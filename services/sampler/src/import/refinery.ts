import { PipelineError } from '@winnow/runtime'
import { parse } from 'yaml'
import { allOf, type Draft, type Imported, parenthesised, policyOf, Remarks } from './imported.ts'
import { conditionOf } from './refinery-condition.ts'

interface Source {
  readonly [key: string]: unknown
}

export interface RefineryOptions {
  /** The environment or data set whose sampler is taken. */
  readonly target?: string
}

const defaultTarget = '__default__'

/**
 * The rules of one target of a Refinery rules file. There the first rule that matches decides; here the
 * highest probability among all that match. So a rule excludes what an earlier one keeps less of.
 * CONFIG_INVALID where the file has no such target.
 */
export function importRefinery(
  text: string,
  file: string,
  options: RefineryOptions = {},
): Imported {
  const samplers = objectOf(objectOf(parse(text)).Samplers)
  const { target = defaultTarget } = options
  const sampler = samplers[target]
  if (sampler === undefined) {
    const known = Object.keys(samplers).join(', ')
    throw new PipelineError(
      'CONFIG_INVALID',
      known === ''
        ? `${file} has no Samplers; give a rules file of Refinery`
        : `${file} has no sampler for ${target}; --target names one of ${known}`,
    )
  }
  const remarks = new Remarks()
  for (const other of Object.keys(samplers)) {
    if (other !== target) remarks.lost(other, `another target; --target ${other} imports it`)
  }
  const rules = rulesOf(objectOf(sampler), remarks)
  const last = rules.at(-1)
  const isLastForAll = last !== undefined && last.when === 'true'
  const drafts = exclusive(
    isLastForAll
      ? rules
      : [...rules, { name: 'everything-else', when: 'true', probability: 1, comments: [] }],
    remarks,
  )
  const end = drafts.at(-1)
  const isShare = end !== undefined && end.when === 'true'
  const head = [
    `Imported from the sampler of ${target} in ${file}.`,
    'There the first rule that matches decides. Here the highest probability of all that match does, so',
    'that a rule excludes what an earlier one keeps less of.',
    'Which traces a rate takes differs: here it is by the trace id, as OpenTelemetry defines it.',
  ]
  return policyOf(
    head,
    isShare ? drafts.slice(0, -1) : drafts,
    isShare ? end.probability : 0,
    remarks,
  )
}

/** A rule that drops is none here: later ones exclude it. */
function exclusive(rules: readonly Draft[], remarks: Remarks): Draft[] {
  const drafts: Draft[] = []
  rules.forEach((rule, at) => {
    const before = rules.slice(0, at).filter(({ probability }) => probability < rule.probability)
    const none = before.map(({ when }) => `!${parenthesised(when)}`)
    if (rule.probability === 0) {
      remarks.note(rule.name, 'drops: excluded from every later rule, which cannot be monotone')
      return
    }
    drafts.push({ ...rule, when: allOf([rule.when, ...none]) })
  })
  return drafts
}

function rulesOf(sampler: Source, remarks: Remarks): Draft[] {
  const based = objectOf(sampler.RulesBasedSampler)
  if (sampler.RulesBasedSampler === undefined) {
    const { probability, comments } = rateOf(sampler, 'sampler', remarks)
    return [{ name: 'sampler', when: 'true', probability, comments }]
  }
  if (based.CheckNestedFields === true) {
    remarks.lost('CheckNestedFields', 'JSON within an attribute is not looked into')
  }
  if (listOf(based.Rules).some(rule => listOf(rule.Conditions).length > 0)) {
    remarks.note(
      'Conditions',
      'span events and links are looked at as spans are there, and not at all here',
    )
  }
  const drafts: Draft[] = []
  for (const [at, rule] of listOf(based.Rules).entries()) {
    const name = typeof rule.Name === 'string' && rule.Name !== '' ? rule.Name : `rule-${at + 1}`
    const before = remarks.lines.length
    const when = whenOf(rule, name, remarks)
    if (when === undefined) continue
    const { probability } = probabilityOf(rule, name, remarks)
    drafts.push({ name, when, probability, comments: remarks.lines.slice(before) })
    if (when === 'true') break
  }
  return drafts
}

function whenOf(rule: Source, name: string, remarks: Remarks): string | undefined {
  const isSpanScope = rule.Scope === 'span'
  const terms: string[] = []
  for (const condition of listOf(rule.Conditions)) {
    const read = conditionOf(condition)
    if (!read.ok) {
      remarks.lost(name, `${read.why}; the rule is left out`)
      return undefined
    }
    if (isSpanScope && condition.Operator === 'has-root-span') {
      remarks.lost(name, 'has-root-span matches nothing in Scope span; the rule is left out')
      return undefined
    }
    for (const line of read.differs) remarks.lost(name, line)
    for (const line of read.notes) remarks.note(name, line)
    const { cel, ofSpan } = read
    terms.push(isSpanScope || !ofSpan ? cel : `spans.exists(s, ${cel})`)
  }
  if (!isSpanScope || terms.length === 0) return allOf(terms)
  return terms.some(term => /\bs\./.test(term)) ? `spans.exists(s, ${allOf(terms)})` : allOf(terms)
}

interface Rate {
  readonly probability: number
  readonly comments: readonly string[]
}

function probabilityOf(rule: Source, name: string, remarks: Remarks): Rate {
  if (rule.Sampler !== undefined && rule.Sampler !== null) {
    return rateOf(objectOf(rule.Sampler), name, remarks)
  }
  const rate = Number(rule.SampleRate ?? 0)
  return { probability: rule.Drop === true || !(rate >= 1) ? 0 : 1 / rate, comments: [] }
}

/** Of a sampler that moves with traffic its aim is taken, for all keys alike. */
function rateOf(sampler: Source, name: string, remarks: Remarks): Rate {
  const before = remarks.lines.length
  const [kind = 'none'] = Object.keys(sampler)
  const own = objectOf(sampler[kind])
  const said = () => remarks.lines.slice(before)
  switch (kind) {
    case 'DeterministicSampler':
      return { probability: oneIn(own.SampleRate), comments: said() }
    case 'DynamicSampler':
    case 'EMADynamicSampler': {
      const probability = oneIn(own.SampleRate ?? own.GoalSampleRate)
      remarks.lost(name, `${kind}: a rate for each key; all are kept with ${probability}, its aim`)
      return { probability, comments: said() }
    }
    case 'EMAThroughputSampler':
    case 'WindowedThroughputSampler':
    case 'TotalThroughputSampler':
      remarks.lost(name, `${kind}: ${own.GoalThroughputPerSec} events a second; all are kept`)
      return { probability: 1, comments: said() }
    default:
      remarks.lost(name, `${kind} is no sampler that is known; all are kept`)
      return { probability: 1, comments: said() }
  }
}

const oneIn = (rate: unknown): number => (Number(rate) > 1 ? 1 / Number(rate) : 1)

const objectOf = (value: unknown): Source =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Source) : {}
const listOf = (value: unknown): Source[] =>
  Array.isArray(value)
    ? value.map(objectOf)
    : value === undefined || value === null
      ? []
      : [objectOf(value)]
