import { PipelineError } from '@winnow/runtime'

export interface RedisNode {
  readonly host: string
  readonly port: number
}

/** Where a Redis is, by how it is run. */
export type RedisAddress =
  | { readonly kind: 'single'; readonly node: RedisNode }
  /** Sentinels, and what they call the primary. */
  | { readonly kind: 'sentinel'; readonly nodes: readonly RedisNode[]; readonly name: string }
  | { readonly kind: 'cluster'; readonly nodes: readonly RedisNode[] }

export const redisAddressForms =
  'redis://HOST:PORT, redis+sentinel://HOST:PORT[,HOST:PORT…]/NAME or redis+cluster://HOST:PORT[,HOST:PORT…]'

export function isRedisAddress(text: string): boolean {
  try {
    parseRedisAddress(text)
    return true
  } catch {
    return false
  }
}

/** CONFIG_INVALID where it is none of the forms. A password has a key of its own and is not taken here. */
export function parseRedisAddress(text: string): RedisAddress {
  const match = /^redis(?:\+(sentinel|cluster))?:\/\/([^/@]+)(?:\/([\w.-]+))?$/.exec(text)
  const [, kind = 'single', hosts = '', name] = match ?? []
  const nodes = hosts.split(',').map(nodeOf)
  const [first] = nodes
  const isWhole = nodes.every(node => node !== undefined)
  if (match === null || first === undefined || !isWhole) throw invalid()
  if (kind === 'sentinel' && name !== undefined) return { kind, nodes, name }
  if (kind === 'cluster' && name === undefined) return { kind, nodes }
  if (kind === 'single' && name === undefined && nodes.length === 1) return { kind, node: first }
  throw invalid()
}

// The text is not repeated: it may hold a password after all.
function invalid(): PipelineError {
  return new PipelineError('CONFIG_INVALID', `buffer: use ${redisAddressForms}`)
}

function nodeOf(text: string): RedisNode | undefined {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port < 1 || port > 65_535) return undefined
  return { host: match[1] ?? match[2] ?? '', port }
}
