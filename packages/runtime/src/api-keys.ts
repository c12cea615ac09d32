import { createHash } from 'node:crypto'

/** The tenant of everybody while no keys are configured. */
export const defaultTenant = 'default'

/**
 * What a key may be used for, within its tenant. `ingest`: send spans. `evaluate`: send outcomes, and ask
 * for a rescue. `read`: every answer that holds no free text. `content`: the text too, where `read` is
 * given. `admin`: answers over all tenants.
 */
export const scopes = ['ingest', 'evaluate', 'read', 'content', 'admin'] as const

export type Scope = (typeof scopes)[number]

/** What a key may do whose entry names its tenant alone: everything within the tenant. */
export const tenantScopes: readonly Scope[] = ['ingest', 'evaluate', 'read', 'content']

export interface ApiKey {
  readonly tenant: string
  readonly scopes: readonly Scope[]
  /** For people: which of a tenant's keys it is. */
  readonly name?: string
  /** From then on it is unknown. Unix milliseconds. */
  readonly expiresAtMs?: number
}

/** Finds a key by its SHA-256, 64 hex digits. The keys themselves are stored nowhere. */
export interface ApiKeys {
  get(hash: string): ApiKey | undefined
}

/** A longer credential is no key, and is not hashed. */
export const keyBytesMax = 512

/**
 * Headers of one request, on every listener: over HTTP/1.1 more is answered with 431, over HTTP/2 the
 * stream is reset.
 */
export const headersBytesMax = 16 * 1024

export function hashOfKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

export type Access =
  | { readonly kind: 'granted'; readonly key: ApiKey }
  /** 401: nobody is known by this credential, or no longer. */
  | { readonly kind: 'unknown'; readonly remedy: string }
  /** 403: the key is known and may not do this. */
  | { readonly kind: 'forbidden'; readonly scope: Scope; readonly remedy: string }

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * Whose request it is, from `Authorization: Bearer KEY` or `x-api-key: KEY` (gRPC metadata alike), or from
 * the password of `Authorization: Basic`, where clients that know a public and a secret key put the secret. Without
 * configured keys everybody is the default tenant, with every scope. What is looked up is a hash, so that
 * the time of the lookup says nothing of a key: who could steer it would have to invert SHA-256.
 */
export function identify(
  keys: ApiKeys | undefined,
  headers: Headers,
  nowMs: number,
): Exclude<Access, { kind: 'forbidden' }> {
  if (keys === undefined) return everybody
  const bearer = /^Bearer\s+(\S+)\s*$/i.exec(text(headers.authorization))?.[1]
  const sent = bearer ?? passwordOf(text(headers.authorization)) ?? text(headers['x-api-key'])
  const isKey = sent !== '' && Buffer.byteLength(sent) <= keyBytesMax
  const key = isKey ? keys.get(hashOfKey(sent)) : undefined
  if (key === undefined) return unknown
  return key.expiresAtMs !== undefined && key.expiresAtMs <= nowMs
    ? expired
    : { kind: 'granted', key }
}

/** The same, and whether the key has this scope. */
export function accessTo(
  scope: Scope,
  keys: ApiKeys | undefined,
  headers: Headers,
  nowMs: number,
): Access {
  const access = identify(keys, headers, nowMs)
  return access.kind === 'granted' ? withScope(access, scope) : access
}

export function withScope(access: Extract<Access, { kind: 'granted' }>, scope: Scope): Access {
  if (access.key.scopes.includes(scope)) return access
  const remedy = `this key lacks the scope ${scope}; use one that has it`
  return { kind: 'forbidden', scope, remedy }
}

function passwordOf(authorization: string): string | undefined {
  const encoded = /^Basic\s+([\w+/=-]+)\s*$/i.exec(authorization)?.[1]
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString()
  const at = pair.indexOf(':')
  return at < 0 ? undefined : pair.slice(at + 1)
}

const everybody = { kind: 'granted', key: { tenant: defaultTenant, scopes } } as const
const unknown = {
  kind: 'unknown',
  remedy: 'send a known key as Authorization: Bearer KEY, or x-api-key',
} as const
const expired = { kind: 'unknown', remedy: 'this key has expired; send its successor' } as const

function text(header: string | readonly string[] | undefined): string {
  return typeof header === 'string' ? header : (header?.[0] ?? '')
}
