// Hot: what is made here runs once a rule and trace. One closure a node, whose operators are chosen before.
import type { ASTNode } from '@marcbachmann/cel-js'
import { ownColumn } from '@winnow/model'
import { textTests } from './condition-environment.ts'
import { type Bound, childrenOf, keyOfPath, numberOf, pathOf } from './condition-tree.ts'
import type { OutcomeView, RootView, SpanView, Values } from './condition-values.ts'
import type { ConditionView } from './condition-view.ts'

/**
 * A part of a condition. `it` is what `exists` and its like go through: there is one at most, because
 * none stands within another (`nestingMax`).
 */
export type Step<T = unknown> = (view: ConditionView, it: unknown) => T

/**
 * A condition that was found to be one, as closures: the library's own evaluation looks up types and
 * contexts for every node. Held equal to it by a test.
 */
export function programOf(tree: ASTNode): Step<boolean> {
  return stepOf(tree, none) as Step<boolean>
}

/** Reads one fact, by its path and the key where the path has one. */
export function readerOf(path: string, key: string | undefined): Step {
  const [root, ...rest] = path.split('.') as [string, ...string[]]
  const name = key as string
  const state = ownColumn.statePrefix + name
  switch (root) {
    case 'attribute[]':
      return view => view.values(name)
    case 'traceState[]':
      return view => view.values(state)
    case 'outcome[]':
      return fieldOf(view => view.outcome(name), rest[0] as keyof OutcomeView)
    case 'judge':
      return fieldOf(view => view.judge, rest[0] as keyof OutcomeView)
    case 'citation':
      return fieldOf(view => view.citation, rest[0] as keyof OutcomeView)
    case 'root':
      if (rest[0] === 'attribute[]') return view => view.rootValues(name)
      return fieldOf(view => view.root, rest[0] as keyof RootView)
    case 's':
      if (rest[0] === undefined) return (_, it) => it
      if (rest[0] === 'attribute[]') return (_, it) => (it as SpanView).values(name)
      if (rest[0] === 'traceState[]') return (_, it) => (it as SpanView).values(state)
      return fieldOf((_, it) => it as SpanView, rest[0] as keyof SpanView)
    default:
      return fieldOf(view => view, root as keyof ConditionView)
  }
}

function fieldOf<T>(of: Step<T>, field: keyof T): Step {
  return (view, it) => of(view, it)[field]
}

const none: Bound = new Set()

function stepOf(node: ASTNode, bound: Bound): Step {
  const path = pathOf(node, bound)
  if (path !== undefined) return readerOf(path, keyOfPath(node, path))
  const steps = childrenOf(node, bound).map(([child, inner]) => stepOf(child, inner))
  const [first, second, third] = steps as [Step, Step, Step]
  switch (node.op) {
    case 'value': {
      const value = node.args
      return () => value
    }
    case 'list':
      return listOf(node.args, steps)
    case '&&':
      return (view, it) => first(view, it) === true && second(view, it) === true
    case '||':
      return (view, it) => first(view, it) === true || second(view, it) === true
    case '!_':
      return (view, it) => first(view, it) !== true
    case '-_':
      return (view, it) => -(first(view, it) as number)
    case '?:':
      return (view, it) => (first(view, it) === true ? second(view, it) : third(view, it))
    case '==':
      return equal(node.args, steps)
    case '!=': {
      const same = equal(node.args, steps)
      return (view, it) => !same(view, it)
    }
    case '<':
    case '<=':
    case '>':
    case '>=':
      return ordered(node.op, node.args, steps)
    case 'in':
      return member(node.args[0], first, second)
    case '+':
    case '-':
    case '*':
    case '/':
      return reckoned(node.op, node, first, second)
    case 'call':
      return called(node.args[0], node.args[1][0], steps)
    case 'rcall':
      return called(node.args[0], node.args[1], steps)
    default:
      throw new Error(`no condition has ${node.op}`)
  }
}

/** The name of a node's type, which the library's check has left on it and does not declare. */
const typeOf = (node: ASTNode): string =>
  (node as { checkedType?: { name: string } }).checkedType?.name ?? ''

const areValues = (node: ASTNode): boolean => typeOf(node) === 'Values'

/** From its end, as the library does: the last comparison of values is what an answer shows. */
function listOf(nodes: readonly ASTNode[], steps: readonly Step[]): Step {
  if (nodes.every(node => node.op === 'value')) {
    const list = nodes.map(node => node.args)
    return () => list
  }
  return (view, it) => {
    const list = new Array<unknown>(steps.length)
    for (let i = steps.length - 1; i >= 0; i--) list[i] = (steps[i] as Step)(view, it)
    return list
  }
}

type Both = readonly [ASTNode, ASTNode]

function equal([a, b]: Both, [left, right]: readonly Step[]): Step<boolean> {
  const [one, other] = [left, right] as [Step, Step]
  if (areValues(a)) {
    return (view, it) => (one(view, it) as Values).equals(other(view, it) as string)
  }
  if (areValues(b)) {
    return (view, it) => {
      const wanted = one(view, it) as string
      return (other(view, it) as Values).equals(wanted)
    }
  }
  if (typeOf(a).startsWith('list')) return (view, it) => isSame(one(view, it), other(view, it))
  return (view, it) => one(view, it) === other(view, it)
}

/** Lists by their elements, anything else by itself. */
function isSame(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b
  return a.length === b.length && a.every((one, at) => isSame(one, b[at]))
}

type Order = '<' | '<=' | '>' | '>='

const orders = { '<': -2, '<=': -1, '>=': 1, '>': 2 } as const

function ordered(op: Order, [a, b]: Both, [left, right]: readonly Step[]): Step<boolean> {
  const [one, other] = [left, right] as [Step<number>, Step<number>]
  const order = orders[op]
  if (areValues(a)) {
    const values = left as Step<Values>
    return (view, it) => values(view, it).compares(order, other(view, it))
  }
  if (areValues(b)) {
    const values = right as Step<Values>
    return (view, it) => {
      const bound = one(view, it)
      return values(view, it).compares(-order, bound)
    }
  }
  const bound = numberOf(b)
  if (bound !== undefined) return orderedAgainst(op, one, bound)
  switch (op) {
    case '<':
      return (view, it) => one(view, it) < other(view, it)
    case '<=':
      return (view, it) => one(view, it) <= other(view, it)
    case '>':
      return (view, it) => one(view, it) > other(view, it)
    case '>=':
      return (view, it) => one(view, it) >= other(view, it)
  }
}

/** A number that is written out, as nearly all of them are. */
function orderedAgainst(op: Order, one: Step<number>, bound: number): Step<boolean> {
  switch (op) {
    case '<':
      return (view, it) => one(view, it) < bound
    case '<=':
      return (view, it) => one(view, it) <= bound
    case '>':
      return (view, it) => one(view, it) > bound
    case '>=':
      return (view, it) => one(view, it) >= bound
  }
}

function member(node: ASTNode, one: Step, list: Step): Step<boolean> {
  const of = list as Step<(string | number)[]>
  if (areValues(node)) return (view, it) => (one(view, it) as Values).isIn(of(view, it))
  if (typeOf(node).startsWith('list')) {
    return (view, it) => {
      const wanted = one(view, it)
      return of(view, it).some(each => isSame(each, wanted))
    }
  }
  // Not `includes`: a number that nobody stated is equal to none.
  return (view, it) => {
    const wanted = one(view, it) as string
    return of(view, it).indexOf(wanted) >= 0
  }
}

function reckoned(op: '+' | '-' | '*' | '/', node: ASTNode, left: Step, right: Step): Step {
  const [one, other] = [left, right] as [Step<number>, Step<number>]
  if (typeOf(node).startsWith('list')) {
    const [some, more] = [left, right] as [Step<unknown[]>, Step<unknown[]>]
    return (view, it) => [...some(view, it), ...more(view, it)]
  }
  switch (op) {
    // Of texts too.
    case '+':
      return (view, it) => one(view, it) + other(view, it)
    case '-':
      return (view, it) => one(view, it) - other(view, it)
    case '*':
      return (view, it) => one(view, it) * other(view, it)
    case '/':
      return (view, it) => one(view, it) / other(view, it)
  }
}

/** `steps`: of what it is called on, then of what it is called with. */
function called(name: string, on: ASTNode | undefined, steps: readonly Step[]): Step {
  const [of, argument] = steps as [Step<unknown[]>, Step]
  switch (name) {
    case 'exists':
    case 'all':
    case 'exists_one':
    case 'filter':
      return gone(name, of, argument)
    case 'sizeOf':
      return typeOf(on as ASTNode) === 'string'
        ? (view, it) => [...(of(view, it) as unknown as string)].length
        : (view, it) => of(view, it).length
    case 'isPresent':
    case 'asNumber':
    case 'asText':
    case 'asBool': {
      const values = of as Step as Step<Values>
      return (view, it) => values(view, it)[name]()
    }
    default:
      return asked(name, on as ASTNode, of, argument as Step<string>)
  }
}

/** Of a text, or of any of some values. */
function asked(name: string, on: ASTNode, of: Step, argument: Step<string>): Step {
  if (name === 'lowerAscii') return (view, it) => (of(view, it) as string).toLowerCase()
  if (name === 'upperAscii') return (view, it) => (of(view, it) as string).toUpperCase()
  const passes = textTests[name as keyof typeof textTests]
  if (areValues(on)) {
    return (view, it) => (of(view, it) as Values).some(passes, argument(view, it))
  }
  return (view, it) => passes(of(view, it) as string, argument(view, it))
}

/** What goes through a list. */
function gone(name: string, of: Step<unknown[]>, predicate: Step): Step {
  switch (name) {
    case 'exists':
      return (view, it) => {
        const list = of(view, it)
        for (let i = 0; i < list.length; i++) if (predicate(view, list[i]) === true) return true
        return false
      }
    case 'all':
      return (view, it) => {
        const list = of(view, it)
        for (let i = 0; i < list.length; i++) if (predicate(view, list[i]) !== true) return false
        return true
      }
    case 'exists_one':
      return (view, it) => {
        const list = of(view, it)
        let count = 0
        for (let i = 0; i < list.length; i++) if (predicate(view, list[i]) === true) count++
        return count === 1
      }
    default:
      return (view, it) => of(view, it).filter(one => predicate(view, one) === true)
  }
}
