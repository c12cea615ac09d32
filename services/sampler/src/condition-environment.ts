import { type ASTNode, Environment } from '@marcbachmann/cel-js'
import { conditionFacts, type FactType } from './condition-facts.ts'
import { childrenOf } from './condition-tree.ts'
import { OutcomeView, RootView, SpanView, Values } from './condition-values.ts'

/** One condition: its text in UTF-8, the nodes of its tree, how deep it is, what a list in it has. */
export const conditionBytesMax = 2_048
const limits = {
  maxAstNodes: 256,
  maxDepth: 32,
  maxListElements: 128,
  maxMapEntries: 0,
  maxCallArguments: 4,
}

/** What a condition may call, for messages and the documentation. */
export const functions: readonly { readonly name: string; readonly does: string }[] = [
  { name: 'size(list)', does: 'how many a list has' },
  { name: 'list.exists(x, …)', does: 'any of a list passes' },
  { name: 'list.all(x, …)', does: 'every one passes' },
  { name: 'list.exists_one(x, …)', does: 'exactly one passes' },
  { name: 'list.filter(x, …)', does: 'those that pass' },
  { name: 'text.startsWith("…")', does: 'of a text, or of any value' },
  { name: 'text.endsWith("…")', does: 'as above' },
  { name: 'text.contains("…")', does: 'as above' },
  { name: 'text.matches("…")', does: 'a regular expression, anywhere in it' },
  { name: 'text.lowerAscii()', does: 'of a text alone' },
  { name: 'text.upperAscii()', does: 'of a text alone' },
  { name: 'values.isPresent()', does: 'there is one, also one that is no fact' },
  { name: 'values.asNumber()', does: 'numbers, texts that are one, true as 1' },
  { name: 'values.asText()', does: 'all of them as text' },
  { name: 'values.asBool()', does: 'flags, and texts or numbers that stand for one' },
]

export const functionNames: ReadonlySet<string> = new Set(
  functions.map(({ name }) => (/(\w+)\(/.exec(name) as RegExpExecArray)[1] as string),
)

let made: Environment | undefined

/** Made when the first condition asks: most policies have none. */
export function conditionEnvironment(): Environment {
  made ??= make()
  return made
}

const celType: Readonly<Record<FactType, string>> = {
  number: 'double',
  bool: 'bool',
  string: 'string',
  'list of strings': 'list<string>',
  values: 'Values',
  'list of spans': 'list<Span>',
}

const celName = (type: FactType): string => celType[type]

/** Types as the table of facts has them: what it does not list is not declared. */
function make(): Environment {
  const env = new Environment({ limits })
  env.registerType('Values', { ctor: Values, fields: {} })
  env.registerType('Outcome', { ctor: OutcomeView, fields: fieldsOf('outcome["…"]') })
  env.registerType('Citation', { ctor: CitationView, fields: fieldsOf('citation') })
  env.registerType('Root', { ctor: RootView, fields: fieldsOf('root') })
  env.registerType('Span', { ctor: SpanView, fields: fieldsOf('s') })
  for (const { name, type } of conditionFacts) {
    if (/^\w+$/.test(name)) env.registerVariable(name, celName(type))
  }
  env.registerVariable('root', 'Root')
  env.registerVariable('judge', 'Outcome')
  env.registerVariable('citation', 'Citation')
  env.registerVariable('outcome', 'map<string, Outcome>')
  env.registerVariable('attribute', 'map<string, Values>')
  env.registerVariable('traceState', 'map<string, Values>')
  registerValues(env)
  registerOwn(env)
  return env
}

/** A type of its own, so that only checks of citations have claims. */
export class CitationView extends OutcomeView {}

function fieldsOf(of: string): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const { name, type } of conditionFacts) {
    if (!name.startsWith(`${of}.`)) continue
    const field = name.slice(of.length + 1)
    if (field.endsWith('["…"]')) fields[field.slice(0, -5)] = `map<string, ${celName(type)}>`
    else fields[field] = celName(type)
  }
  return fields
}

function registerValues(env: Environment): void {
  for (const type of ['string', 'double', 'bool']) {
    env.registerOperator(`Values == ${type}`, (a: Values, b: string | number | boolean) =>
      a.equals(b),
    )
  }
  const orders = { '<': -2, '<=': -1, '>=': 1, '>': 2 }
  for (const [operator, order] of Object.entries(orders)) {
    env.registerOperator(`Values ${operator} double`, (a: Values, b: number) =>
      a.compares(order, b),
    )
    env.registerOperator(`double ${operator} Values`, (a: number, b: Values) =>
      b.compares(-order, a),
    )
  }
  for (const type of ['string', 'double']) {
    env.registerOperator(`Values in list<${type}>`, (a: Values, b: (string | number)[]) =>
      a.isIn(b),
    )
  }
  for (const [name, passes] of Object.entries(textTests)) {
    env.registerFunction(`Values.${name}(string): bool`, (a: Values, b: string) =>
      a.some(passes, b),
    )
  }
  env.registerFunction('Values.isPresent(): bool', (a: Values) => a.isPresent())
  env.registerFunction('Values.asNumber(): Values', (a: Values) => a.asNumber())
  env.registerFunction('Values.asText(): Values', (a: Values) => a.asText())
  env.registerFunction('Values.asBool(): Values', (a: Values) => a.asBool())
}

/** What a text is asked for, or any of some values. */
export const textTests = {
  startsWith: (text: string, wanted: string) => text.startsWith(wanted),
  endsWith: (text: string, wanted: string) => text.endsWith(wanted),
  contains: (text: string, wanted: string) => text.includes(wanted),
  matchesIn: (text: string, wanted: string) => expressionOf(wanted).test(text),
} as const

/** The library's own count in whole numbers, which fail where they divide by 0 or grow, and match otherwise. */
const ownNames: ReadonlyMap<string, string> = new Map([
  ['size', 'sizeOf'],
  ['matches', 'matchesIn'],
])

function registerOwn(env: Environment): void {
  // Of a text its characters, whatever they take.
  const count = (list: readonly unknown[] | string) =>
    (typeof list === 'string' ? [...list] : list).length
  for (const type of ['list', 'string']) {
    env.registerFunction(`sizeOf(${type}): double`, count)
    env.registerFunction(`${type}.sizeOf(): double`, count)
  }
  env.registerFunction('string.matchesIn(string): bool', textTests.matchesIn)
}

/**
 * Has a tree count in floating point and call what is ours, before it is checked: facts are doubles, and
 * people write `2 * costUsd`.
 */
export function asOwn(node: ASTNode): void {
  const changed = node as { args: unknown }
  if (node.op === 'value' && typeof node.args === 'bigint') changed.args = Number(node.args)
  if (node.op === 'call' || node.op === 'rcall') {
    const [name, ...rest] = node.args
    changed.args = [ownNames.get(name) ?? name, ...rest]
  }
  for (const [child] of childrenOf(node, new Set())) asOwn(child)
}

/** As people write it. */
export function asWritten(message: string): string {
  let text = message
  for (const [name, own] of ownNames) text = text.replaceAll(own, name)
  return text
}

const expressions = new Map<string, RegExp>()
const expressionsMax = 1_024

/** Compiled once: policies have few, and a check has found them to be ones. */
export function expressionOf(pattern: string): RegExp {
  const known = expressions.get(pattern)
  if (known !== undefined) return known
  if (expressions.size >= expressionsMax) expressions.clear()
  const expression = new RegExp(pattern, 'u')
  expressions.set(pattern, expression)
  return expression
}
