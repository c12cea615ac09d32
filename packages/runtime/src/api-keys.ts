import { createHash } from 'node:crypto'

/** The tenant of everybody while no keys are configured. */
export const defaultTenant = 'default'

/** SHA-256 of a key, 64 hex digits, to its tenant. The keys themselves are stored nowhere. */
export type ApiKeys = ReadonlyMap<string, string>

/**
 * The tenant that a request speaks for, from `Authorization: Bearer KEY` or `x-api-key: KEY` (gRPC
 * metadata alike). Undefined: keys are configured and this is none of them. Looking a hash up in a map
 * leaks no time about the key.
 */
export function tenantOf(
  keys: ApiKeys | undefined,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): string | undefined {
  if (keys === undefined) return defaultTenant
  const bearer = /^Bearer\s+(\S+)\s*$/i.exec(text(headers.authorization))?.[1]
  const key = bearer ?? text(headers['x-api-key'])
  return key === '' ? undefined : keys.get(createHash('sha256').update(key).digest('hex'))
}

function text(header: string | readonly string[] | undefined): string {
  return typeof header === 'string' ? header : (header?.[0] ?? '')
}
