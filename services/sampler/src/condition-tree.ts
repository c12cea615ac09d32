import type { ASTNode } from '@marcbachmann/cel-js'

/** Names that a macro binds to the elements of a list, with how the list moves. */
export type Bound = ReadonlySet<string>

export const macros: ReadonlySet<string> = new Set(['exists', 'all', 'exists_one', 'filter'])

/** Maps whose keys have to be known before the trace comes. */
export const keyed: ReadonlySet<string> = new Set(['attribute', 'traceState', 'outcome'])

/**
 * What an access names, as the table of facts does: `root.attribute[]`; a span that a macro bound is `s`.
 * Undefined where it is no access to a fact.
 */
export function pathOf(node: ASTNode, bound: Bound): string | undefined {
  switch (node.op) {
    case 'id':
      return bound.has(node.args) ? 's' : node.args
    case '.': {
      const [left, field] = node.args
      const path = pathOf(left, bound)
      if (path === undefined) return undefined
      // `attribute.tier` is `attribute["tier"]`.
      return isMap(path) ? `${path}[]` : `${path}.${field}`
    }
    case '[]': {
      const path = pathOf(node.args[0], bound)
      return path === undefined ? undefined : `${path}[]`
    }
    default:
      return undefined
  }
}

/** Whether what is after this path is a key. */
export function isMap(path: string): boolean {
  return keyed.has(path.slice(path.lastIndexOf('.') + 1)) && !path.endsWith(']')
}

/** The key of an access to a map; undefined where it is not written out. */
export function keyOf(node: ASTNode): string | undefined {
  if (node.op === '.') return node.args[1]
  if (node.op !== '[]') return undefined
  const [, key] = node.args
  return key.op === 'value' && typeof key.args === 'string' ? key.args : undefined
}

/**
 * The key of an access to a fact of this path, undefined where it is not written out or there is none: of
 * `outcome["x"].score` it is further down.
 */
export function keyOfPath(node: ASTNode, path: string): string | undefined {
  if (path.endsWith('[]')) return keyOf(node)
  return path.includes('[].') && node.op === '.' ? keyOf(node.args[0]) : undefined
}

/** The nodes directly below, with what each of them may call by a bound name. */
export function childrenOf(node: ASTNode, bound: Bound): (readonly [ASTNode, Bound])[] {
  const plain = (nodes: readonly ASTNode[]) => nodes.map(child => [child, bound] as const)
  switch (node.op) {
    case 'value':
    case 'id':
      return []
    case '.':
    case '.?':
      return plain([node.args[0]])
    case 'call':
      return plain(node.args[1])
    case 'rcall': {
      const [name, receiver, args] = node.args
      const [variable, ...rest] = args
      if (!macros.has(name) || variable?.op !== 'id') return plain([receiver, ...args])
      const inner = new Set([...bound, variable.args])
      return [[receiver, bound], ...rest.map(child => [child, inner] as const)]
    }
    case 'list':
      return plain(node.args)
    case 'map':
      return plain(node.args.flat())
    case '!_':
    case '-_':
      return plain([node.args])
    default:
      return plain(node.args as readonly ASTNode[])
  }
}

/** A number that is written out, also with a minus. */
export function numberOf(node: ASTNode): number | undefined {
  if (node.op === '-_') {
    const number = numberOf(node.args)
    return number === undefined ? undefined : 0 - number
  }
  const isNumber = node.op === 'value' && ['number', 'bigint'].includes(typeof node.args)
  return isNumber ? Number(node.args) : undefined
}
