import { createHash } from 'node:crypto'
import type { ASTNode, ParseResult } from '@marcbachmann/cel-js'
import { columnMistake, ownColumn } from '@winnow/model'
import { isNamedContent } from '@winnow/privacy'
import {
  asOwn,
  asWritten,
  conditionBytesMax,
  conditionEnvironment,
  expressionOf,
  functionNames,
  functions,
} from './condition-environment.ts'
import {
  columnOfField,
  columnsOfFact,
  type FactType,
  factByPath,
  factRoots,
} from './condition-facts.ts'
import { orderDependence } from './condition-order.ts'
import { slowPattern } from './condition-pattern.ts'
import { programOf, type Step } from './condition-program.ts'
import {
  type Bound,
  childrenOf,
  isMap,
  keyOfPath,
  macros,
  numberOf,
  pathOf,
} from './condition-tree.ts'

/** A condition that was found to be one. */
export interface Condition {
  readonly text: string
  readonly program: Step<boolean>
  /** What of every span has to be recorded for it. */
  readonly columns: readonly string[]
  /** Facts that it looks at, by path, and a key where the path has one: as the rule's answer states them. */
  readonly compared: readonly ComparedFact[]
  /** Why it depends on the order in which facts come; undefined: it does not. */
  readonly orderDependent: string | undefined
  /** Names the text in answers that a later revision repeats. */
  readonly hash: string
}

export interface ComparedFact {
  /** As conditions write it. */
  readonly text: string
  readonly path: string
  readonly key: string | undefined
}

export interface ConditionMistake {
  /** Characters into the text. */
  readonly at: number
  readonly message: string
}

export type ConditionCheck =
  | { readonly ok: true; readonly condition: Condition }
  | { readonly ok: false; readonly mistakes: readonly ConditionMistake[] }

/** `exists`, `all`, `exists_one` and `filter` within each other: a trace has a thousand rows. */
export const nestingMax = 1

/** Every mistake of a condition that can be told at once, with where it is and what to write instead. */
export function checkCondition(text: string): ConditionCheck {
  const bytes = Buffer.byteLength(text)
  if (bytes > conditionBytesMax) {
    return refused(0, `has ${bytes} bytes, more than ${conditionBytesMax}; make it several rules`)
  }
  const environment = conditionEnvironment()
  let parsed: ParseResult
  try {
    parsed = environment.parse(text)
  } catch (error) {
    return refusedBy(error)
  }
  const tree = parsed.ast
  const found = new Findings()
  found.walk(tree, new Set())
  if (found.mistakes.length > 0) return { ok: false, mistakes: found.mistakes }
  const orderDependent = orderDependence(tree)
  asOwn(tree)
  const { valid, type, error: mistake } = parsed.check()
  if (!valid) return refusedBy(mistake)
  if (type !== 'bool') {
    return refused(0, `is ${typeName(type)} and no condition; compare it with something`)
  }
  return {
    ok: true,
    condition: {
      text,
      program: programOf(tree),
      columns: [...found.columns],
      compared: found.compared,
      orderDependent,
      hash: createHash('sha256').update(text).digest('hex').slice(0, 8),
    },
  }
}

/** What a walk over the tree finds: the names that it uses, and what is no name of ours. */
class Findings {
  readonly mistakes: ConditionMistake[] = []
  readonly compared: ComparedFact[] = []
  readonly columns = new Set<string>()

  walk(node: ASTNode, bound: Bound): void {
    const path = pathOf(node, bound)
    if (path !== undefined) {
      this.#access(node, path, bound)
      return
    }
    if (node.op === 'rcall' && macros.has(node.args[0]) && bound.size >= nestingMax) {
      const [name] = node.args
      this.#say(node, `${name} within another: each is asked for every one of a list`, name)
      return
    }
    if (node.op === 'call' || node.op === 'rcall') this.#call(node)
    if (node.op === '%' || node.op === 'map' || node.op === '.?' || node.op === '[?]') {
      this.#say(node, `${node.op === 'map' ? 'a map' : node.op} has no use in a condition`)
    }
    if (node.op === 'value' && typeof node.args === 'object' && node.args !== null) {
      this.#say(node, 'write a number, a text, true or false')
    }
    if (node.op === '/' && numberOf(node.args[1]) === 0) this.#say(node.args[1], 'divides by 0')
    for (const [child, inner] of childrenOf(node, bound)) this.walk(child, inner)
  }

  #access(node: ASTNode, path: string, bound: Bound): void {
    if (path === 's') return
    const [root] = path.split(/[.[]/) as [string]
    if (root !== 's' && !factRoots.includes(root)) {
      this.#say(node, `no fact is called ${root}${suggestion(root, factRoots)}`, root)
      return
    }
    if (isMap(path)) {
      this.#say(node, `name one: ${path}["…"]; what no rule names is not recorded`)
      return
    }
    const doc = factByPath.get(path)
    if (doc === undefined) {
      if (path.endsWith('[]')) this.#say(node, 'no place by number; ask with exists or in')
      else this.#unknownField(node, path, bound)
      return
    }
    if (bound.size > 0 && !path.startsWith('s.') && hasMany(path, doc.type)) {
      this.#say(node, `${shown(path)} has many values; ask for them outside of exists and its like`)
      return
    }
    const key = path.endsWith('[]') || path.includes('[].') ? this.#key(node, path) : undefined
    if (key === null) return
    this.#record(path, key)
    if (path.startsWith('s.')) return
    const text = key === undefined ? path : path.replace('[]', `["${key}"]`)
    if (doc.type !== 'list of spans' && !this.compared.some(one => one.text === text)) {
      this.compared.push({ text, path, key })
    }
  }

  /** Null: it is not written out, or cannot be. */
  #key(node: ASTNode, path: string): string | null {
    const access = path.endsWith('[]') || node.op !== '.' ? node : node.args[0]
    const key = keyOfPath(node, path)
    if (key === undefined) {
      this.#say(access, 'its name has to be written out in quotes, so that it is recorded')
      return null
    }
    const mistake = key.startsWith(':') ? 'begins with a colon' : keyMistake(key, path)
    if (mistake === undefined) return key
    this.#say(access, `the name ${JSON.stringify(key)} ${mistake}`)
    return null
  }

  #record(path: string, key: string | undefined): void {
    for (const column of columnsOfFact[path] ?? []) this.columns.add(column)
    const [of] = path.split('[]') as [string]
    if (of.endsWith('traceState')) this.columns.add(`${ownColumn.statePrefix}${key}`)
    else if (of.endsWith('attribute')) this.columns.add(key as string)
    else if (path.startsWith('s.')) this.columns.add(columnOfField[path.slice(2)] as string)
  }

  #unknownField(node: ASTNode, path: string, bound: Bound): void {
    const parent = node.op === '.' ? pathOf(node.args[0], bound) : undefined
    const fields = fieldsBelow(parent ?? path)
    if (parent === undefined || fields.length === 0 || node.op !== '.') {
      const below = fieldsBelow(path)
      const list = below.length === 0 ? '' : `: ${below.map(one => `${path}.${one}`).join(', ')}`
      this.#say(node, `${path} is no fact by itself${list === '' ? '' : `; there are${list}`}`)
      return
    }
    const [, field] = node.args
    this.#say(node, `${parent} has no ${field}${suggestion(field, fields)}`, field)
  }

  #call(node: ASTNode): void {
    if (node.op !== 'call' && node.op !== 'rcall') return
    const [name] = node.args
    if (!functionNames.has(name)) {
      const known = [...functionNames]
      const hint = name === 'has' ? '; write isPresent()' : suggestion(name, known)
      this.#say(node, `no function is called ${name}${hint}`, name)
      return
    }
    if (name !== 'matches' || node.op !== 'rcall') return
    const [pattern] = node.args[2]
    if (pattern === undefined) return
    const mistake = patternMistake(pattern)
    if (mistake !== undefined) this.#say(pattern, mistake)
  }

  /** `word` is what of the node is meant: an access begins with what it is an access to. */
  #say(node: ASTNode, message: string, word?: string): void {
    const from = node.range.start
    const found = word === undefined ? -1 : node.input.slice(from, node.end).lastIndexOf(word)
    this.mistakes.push({ at: from + Math.max(0, found), message })
  }
}

/** What people and models wrote is no fact: it would outlive the day that content is kept. */
function keyMistake(key: string, path: string): string | undefined {
  const isAttribute = path.endsWith('attribute[]')
  return isAttribute && isNamedContent(key)
    ? 'is content, and what a condition looks at is kept as a fact; have the sender state an attribute of its own'
    : columnMistake(key)
}

/** Of the root there is one value. */
const hasMany = (path: string, type: FactType): boolean =>
  type.startsWith('list') || (type === 'values' && path !== 'root.attribute[]')

const shown = (path: string): string => path.replace('[]', '["…"]')

function fieldsBelow(path: string): string[] {
  return [...factByPath.keys()]
    .filter(name => name.startsWith(`${path}.`))
    .map(name => name.slice(path.length + 1).replace(/\[\].*/, ''))
}

function patternMistake(pattern: ASTNode): string | undefined {
  if (pattern.op !== 'value' || typeof pattern.args !== 'string') {
    return 'a pattern has to be written out in quotes'
  }
  const text = pattern.args
  try {
    expressionOf(text)
    return slowPattern(text)
  } catch (error) {
    return `no regular expression: ${(error as Error).message}`
  }
}

function refused(at: number, message: string): ConditionCheck {
  return { ok: false, mistakes: [{ at, message }] }
}

/** The library's errors have a summary and a range. */
function refusedBy(error: unknown): ConditionCheck {
  const { summary, message, range } = error as {
    summary?: string
    message: string
    range?: { start: number }
  }
  const text = asWritten(summary ?? message)
    .replace(/\b(double|int)\b/g, 'number')
    .replace(/\bValues\b/g, 'values')
  return refused(range?.start ?? 0, hinted(text))
}

function hinted(text: string): string {
  if (text.includes('no such overload') || text.includes('no matching overload')) {
    const names = functions.map(({ name }) => name).join(', ')
    return text.includes('matching')
      ? `${text}; there are ${names}`
      : `${text}; compare like with like`
  }
  return text
}

function typeName(type: string | undefined): string {
  const cel = { double: 'a number', int: 'a number', string: 'a text', Values: 'values' }
  return cel[type as keyof typeof cel] ?? `of type ${type}`
}

/** `; did you mean …?` where a name is near; otherwise all there are, where they are few. */
function suggestion(word: string, names: readonly string[]): string {
  const near = names
    .map(name => ({ name, distance: distance(word.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0]
  if (near !== undefined && near.distance <= Math.max(2, Math.floor(word.length / 3))) {
    return `; did you mean ${near.name}?`
  }
  return names.length <= 12 ? `; there are ${names.join(', ')}` : '; docs/policies.md lists them'
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
