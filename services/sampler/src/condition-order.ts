import type { ASTNode } from '@marcbachmann/cel-js'
import { serialize } from '@marcbachmann/cel-js/serialize'
import { factByPath, type Moves } from './condition-facts.ts'
import { type Bound, childrenOf, isMap, macros, numberOf, pathOf } from './condition-tree.ts'

/**
 * Why a condition depends on the order in which facts come: more facts can turn it off. Undefined where
 * it is monotone: what it matched once it matches for good. Conservative: `a || !a` is not seen through.
 */
export function orderDependence(tree: ASTNode): string | undefined {
  const moves = movesOf(tree, none)
  if (moves === 'constant' || moves === 'rises') return undefined
  const { node, bound } = culprit(tree, none)
  const parts = factsIn(node, bound).map(path => says[movesOfPath(path)](shown(path)))
  const because = parts.length === 0 ? '' : `: ${[...new Set(parts)].join('; ')}`
  return `more facts can turn \`${serialize(node)}\` off${because}`
}

const none: Bound = new Set()

const says: Readonly<Record<Moves, (fact: string) => string>> = {
  rises: fact => `${fact} only grows`,
  falls: fact => `${fact} only falls`,
  changes: fact => `${fact} may change`,
  constant: fact => `${fact} stays`,
}

const shown = (path: string): string => path.replace('[]', '["…"]')

/** The smallest part of a condition that does not only turn on. */
function culprit(node: ASTNode, bound: Bound): { node: ASTNode; bound: Bound } {
  if (node.op === '&&' || node.op === '||') {
    for (const [child, inner] of childrenOf(node, bound)) {
      const moves = movesOf(child, inner)
      if (moves === 'falls' || moves === 'changes') return culprit(child, inner)
    }
  }
  return { node, bound }
}

function factsIn(node: ASTNode, bound: Bound): string[] {
  const path = pathOf(node, bound)
  if (path !== undefined && factByPath.has(path)) return path.startsWith('s.') ? [] : [path]
  return childrenOf(node, bound).flatMap(([child, inner]) => factsIn(child, inner))
}

function movesOfPath(path: string): Moves {
  return factByPath.get(path)?.moves ?? 'changes'
}

/** How the value moves as facts are added: a flag rises from false to true, a list by what it gains. */
function movesOf(node: ASTNode, bound: Bound): Moves {
  const path = pathOf(node, bound)
  if (path !== undefined) return movesOfAccess(path)
  switch (node.op) {
    case 'value':
      return 'constant'
    case 'list':
      // An element becomes another one: the list does not gain it.
      return all(node.args, bound) === 'constant' ? 'constant' : 'changes'
    case '&&':
    case '||':
      return both(movesOf(node.args[0], bound), movesOf(node.args[1], bound))
    case '!_':
      return flipped(movesOf(node.args, bound))
    case '-_':
      return flipped(movesOf(node.args, bound))
    case '>':
    case '>=':
      return compared(node.args[0], node.args[1], bound)
    case '<':
    case '<=':
      return compared(node.args[1], node.args[0], bound)
    case '==':
      return equal(node.args[0], node.args[1], bound)
    case '!=':
      return flipped(equal(node.args[0], node.args[1], bound))
    case 'in':
      return member(node.args[0], node.args[1], bound)
    case '+':
      return both(movesOf(node.args[0], bound), movesOf(node.args[1], bound))
    case '-':
      return both(movesOf(node.args[0], bound), flipped(movesOf(node.args[1], bound)))
    case '*':
    case '/':
      return scaled(node.args[0], node.args[1], bound, node.op === '/')
    case '?:': {
      const [test, yes, no] = node.args
      const isFixed = movesOf(test, bound) === 'constant'
      return isFixed ? both(movesOf(yes, bound), movesOf(no, bound)) : 'changes'
    }
    case 'call':
      return node.args[0] === 'size' ? all(node.args[1], bound) : 'changes'
    case 'rcall':
      return called(node.args[0], node.args[1], node.args[2], bound)
    default:
      return 'changes'
  }
}

/** A span of `spans` stays as it is, and so does a text of a list. */
function movesOfAccess(path: string): Moves {
  if (path === 's' || path.startsWith('s.')) return 'constant'
  return isMap(path) ? 'changes' : movesOfPath(path)
}

function all(nodes: readonly ASTNode[], bound: Bound): Moves {
  return nodes.reduce<Moves>((moves, node) => both(moves, movesOf(node, bound)), 'constant')
}

function both(a: Moves, b: Moves): Moves {
  if (a === 'constant') return b
  return b === 'constant' || a === b ? a : 'changes'
}

function flipped(moves: Moves): Moves {
  if (moves === 'rises') return 'falls'
  return moves === 'falls' ? 'rises' : moves
}

/**
 * `more > less`. Values compare by any of them, so that they only gain what passes. A number that may be
 * absent passes nothing at first and may pass later: then a comparison that could fall goes both ways.
 */
function compared(more: ASTNode, less: ASTNode, bound: Bound): Moves {
  const ofValues = valuesAgainst(more, less, bound)
  if (ofValues !== undefined) return ofValues
  const moves = both(movesOf(more, bound), flipped(movesOf(less, bound)))
  const mayCome = [more, less].some(side => mayBeAbsent(side, bound))
  return moves === 'falls' && mayCome ? 'changes' : moves
}

function equal(a: ASTNode, b: ASTNode, bound: Bound): Moves {
  const ofValues = valuesAgainst(a, b, bound)
  if (ofValues !== undefined) return ofValues
  return both(movesOf(a, bound), movesOf(b, bound)) === 'constant' ? 'constant' : 'changes'
}

/** How a comparison with what an attribute has anywhere moves; undefined where it is none. */
function valuesAgainst(a: ASTNode, b: ASTNode, bound: Bound): Moves | undefined {
  const [left, right] = [isValues(a, bound), isValues(b, bound)]
  if (!left && !right) return undefined
  const [values, other] = left ? [a, b] : [b, a]
  return movesOf(other, bound) === 'constant' ? movesOf(values, bound) : 'changes'
}

function isValues(node: ASTNode, bound: Bound): boolean {
  if (node.op === 'rcall') return node.args[0].startsWith('as') && isValues(node.args[1], bound)
  const path = pathOf(node, bound)
  return path !== undefined && factByPath.get(path)?.type === 'values'
}

function mayBeAbsent(node: ASTNode, bound: Bound): boolean {
  return factsIn(node, bound).some(path => factByPath.get(path)?.absent === true)
}

/** In a list that gains texts, or of values that gain some. */
function member(one: ASTNode, list: ASTNode, bound: Bound): Moves {
  const [moves, ofList] = [movesOf(one, bound), movesOf(list, bound)]
  if (moves === 'constant') return ofList
  return isValues(one, bound) && ofList === 'constant' ? moves : 'changes'
}

/** By a number that is written out, whose sign is known. */
function scaled(a: ASTNode, b: ASTNode, bound: Bound, divides: boolean): Moves {
  const moves = [movesOf(a, bound), movesOf(b, bound)] as const
  if (both(...moves) === 'constant') return 'constant'
  const [factor, other] = moves[0] === 'constant' ? [a, moves[1]] : [b, moves[0]]
  // `x / 2` moves as x does, and nobody knows where `2 / x` goes.
  const number = a === factor && divides ? undefined : numberOf(factor)
  if (number === undefined) return 'changes'
  return number >= 0 ? other : flipped(other)
}

function called(name: string, receiver: ASTNode, args: readonly ASTNode[], bound: Bound): Moves {
  const of = movesOf(receiver, bound)
  if (!macros.has(name)) {
    // A method of values asks for any of them; of a text that changes it may answer otherwise.
    const isFixed = all(args, bound) === 'constant'
    if (isFixed && (of === 'constant' || isValues(receiver, bound) || name === 'size')) return of
    return 'changes'
  }
  const [variable, predicate] = args
  if (variable?.op !== 'id' || predicate === undefined) return 'changes'
  const inner = movesOf(predicate, new Set([...bound, variable.args]))
  switch (name) {
    case 'exists':
    case 'filter':
      return both(of, inner)
    case 'all':
      return both(flipped(of), inner)
    default:
      return both(of, inner) === 'constant' ? 'constant' : 'changes'
  }
}
