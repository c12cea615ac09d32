import { type Policy, type RuleSpec, ruleName } from './policy-file.ts'

/** What has become of one rule. */
export interface RuleChange {
  readonly rule: string
  readonly kind: 'added' | 'removed' | 'changed' | 'moved'
  /** One line each, for people. */
  readonly text: readonly string[]
  /** The fields that are others: before and after; absent is null. */
  readonly fields?: Readonly<Record<string, { readonly before: unknown; readonly after: unknown }>>
}

export interface PolicyDiff {
  readonly before: string
  readonly after: string
  readonly changes: readonly RuleChange[]
  /** The verdicts are the same on every trace: nothing changed but names of primary rules. */
  readonly sameVerdicts: boolean
}

/**
 * Rule by rule what changed, by the rules' names. The order says which rule a decision is counted under and
 * nothing else, so a rule that only stands elsewhere is `moved`.
 */
export function diffPolicies(before: Policy, after: Policy): PolicyDiff {
  const was = byName(before)
  const is = byName(after)
  const changes: RuleChange[] = []
  for (const [name, spec] of is) {
    const old = was.get(name)
    if (old === undefined) changes.push(added(name, spec))
    else if (old.kind !== spec.kind) changes.push(removed(name, old), added(name, spec))
    else if (textOf(old) !== textOf(spec)) changes.push(changed(name, old, spec))
  }
  for (const [name, spec] of was) if (!is.has(name)) changes.push(removed(name, spec))
  const [limits, ceilings] = [before.ceilings ?? [], after.ceilings ?? []]
  if (JSON.stringify(limits) !== JSON.stringify(ceilings)) {
    const text = listText('ceilings', limits, ceilings)
    changes.push({ rule: 'ceilings', kind: 'changed', text })
  }
  const sameVerdicts = changes.length === 0
  return {
    before: before.version,
    after: after.version,
    changes: [...changes, ...movedRules(before, after)],
    sameVerdicts,
  }
}

function byName({ rules }: Policy): ReadonlyMap<string, RuleSpec> {
  return new Map(rules.map(rule => [ruleName(rule), rule]))
}

function added(rule: string, spec: RuleSpec): RuleChange {
  return { rule, kind: 'added', text: [`a new rule, ${described(spec)}`] }
}

function removed(rule: string, spec: RuleSpec): RuleChange {
  return { rule, kind: 'removed', text: [`no longer asked; it was ${described(spec)}`] }
}

function described(spec: RuleSpec): string {
  const { kind, probability, ...rest } = spec
  const fields = Object.entries(rest).filter(
    ([key, value]) => key !== 'name' && (!Array.isArray(value) || value.length > 0),
  )
  const more = fields.map(([key, value]) => `${key} ${shown(value)}`).join(', ')
  return `${kind}${more === '' ? '' : ` (${more})`}, keeps ${percent(probability)} of what it matches`
}

function changed(rule: string, before: RuleSpec, after: RuleSpec): RuleChange {
  const [a, b] = [before as Record<string, unknown>, after as Record<string, unknown>]
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
    key => JSON.stringify(a[key]) !== JSON.stringify(b[key]),
  )
  const fields = keys.map(key => [key, { before: a[key] ?? null, after: b[key] ?? null }])
  return {
    rule,
    kind: 'changed',
    text: keys.flatMap(key => fieldText(key, a[key], b[key])),
    fields: Object.fromEntries(fields),
  }
}

function fieldText(key: string, before: unknown, after: unknown): string[] {
  if (key === 'probability') {
    return [
      `keeps ${percent(after as number)} of what it matches instead of ${percent(before as number)}`,
    ]
  }
  if (Array.isArray(before) && Array.isArray(after)) return listText(key, before, after)
  if (before === undefined) return [`${key} is ${shown(after)}; it was not given`]
  if (after === undefined) return [`${key} is not given any more; it was ${shown(before)}`]
  return [`${key} is ${shown(after)} instead of ${shown(before)}`]
}

/** Entries that have identities of their own, as variants, are told apart by what else they hold. */
function listText(key: string, before: readonly unknown[], after: readonly unknown[]): string[] {
  const [was, is] = [new Set(before.map(shown)), new Set(after.map(shown))]
  const gone = [...was].filter(one => !is.has(one)).map(one => `${key} lacks ${one} now`)
  const fresh = [...is].filter(one => !was.has(one)).map(one => `${key} has ${one} now`)
  const texts = [...fresh, ...gone]
  return texts.length > 0 ? texts : [`${key} stand in another order`]
}

/** Of the rules in both: the fewest that, taken out, leave the others in one order. */
function movedRules(before: Policy, after: Policy): RuleChange[] {
  const places = new Map(before.rules.map((rule, at) => [ruleName(rule), at]))
  const names = after.rules.map(ruleName).filter(name => places.has(name))
  const stay = longestRise(names.map(name => places.get(name) as number))
  return names.flatMap((rule, at) => {
    if (stay.has(at)) return []
    const next = names[at + 1]
    const where = next === undefined ? 'stands last now' : `stands before ${next} now`
    const text = `${where}: it is the primary rule where both match; no verdict changes`
    return [{ rule, kind: 'moved' as const, text: [text] }]
  })
}

/** Indices of a longest rising run of entries, neighbours or not. */
function longestRise(values: readonly number[]): ReadonlySet<number> {
  const best = values.map(() => 1)
  const from = values.map(() => -1)
  let last = -1
  values.forEach((value, at) => {
    for (let i = 0; i < at; i++) {
      if ((values[i] as number) < value && (best[i] as number) + 1 > (best[at] as number)) {
        best[at] = (best[i] as number) + 1
        from[at] = i
      }
    }
    if (last === -1 || (best[at] as number) > (best[last] as number)) last = at
  })
  const stay = new Set<number>()
  for (let at = last; at !== -1; at = from[at] as number) stay.add(at)
  return stay
}

function textOf(spec: RuleSpec): string {
  return JSON.stringify(spec)
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.map(shown).join(', ')
  if (typeof value !== 'object' || value === null) return String(value)
  return `{ ${Object.entries(value)
    .map(([key, one]) => `${key}: ${shown(one)}`)
    .join(', ')} }`
}

function percent(probability: number): string {
  return `${Number((probability * 100).toPrecision(6))} %`
}
