import { hash } from 'node:crypto'
import type { TokenKey } from './tokens.ts'

/** Where the keys of tokens live. The last of a tenant's keys is the current one. */
export interface TokenKeys {
  /**
   * The tenant's keys, made on first use where they are made at all: durable before it resolves, and the same
   * for everybody who asks. The bytes are the caller's to read, not to change.
   */
  keys(tenant: string): Promise<readonly TokenKey[]>
}

/**
 * Every tenant's keys drawn from secrets that all receivers share, for those that share no folder: key n of a
 * tenant is SHA3-256 of secret n, in hex, and the tenant. Nobody can destroy one tenant's alone.
 */
export class SharedTokenKeys implements TokenKeys {
  readonly #secrets: readonly TokenKey[]

  constructor(secrets: readonly TokenKey[]) {
    this.#secrets = secrets
  }

  async keys(tenant: string): Promise<readonly TokenKey[]> {
    return sharedTokenKeysOf(this.#secrets, tenant)
  }
}

/** The keys of one tenant. */
export function sharedTokenKeysOf(secrets: readonly TokenKey[], tenant: string): TokenKey[] {
  return secrets.map(({ id, bytes }) => {
    const text = `winnow token key\0${Buffer.from(bytes).toString('hex')}\0${tenant}`
    return { id, bytes: hash('sha3-256', text, 'buffer') }
  })
}

/** A shorter secret could be guessed. */
export const sharedSecretCharsMin = 16

/**
 * Secrets that all receivers share: one text, or lines (or a list with commas) of `ID:SECRET`, each id, a
 * hexadecimal digit, once. Undefined: it is neither.
 */
export function sharedTokenKeysFrom(text: string): readonly TokenKey[] | undefined {
  const rows = text
    .split(/[\n,]/)
    .map(row => row.trim())
    .filter(row => row !== '')
  const found = rows.map(row => /^([0-9a-f]):\s*(\S.*)$/.exec(row))
  const isList = found[0] !== undefined && found[0] !== null
  const pairs = isList
    ? found.map(row => [row?.[1] ?? '', row?.[2] ?? ''] as const)
    : [['0', text.trim()] as const]
  const ids = new Set(pairs.map(([id]) => id))
  const isRight = ids.size === pairs.length && !ids.has('')
  if (!isRight || pairs.some(([, secret]) => secret.length < sharedSecretCharsMin)) return undefined
  return pairs.map(([id, secret]) => ({
    id: Number.parseInt(id, 16),
    bytes: hash('sha3-256', secret, 'buffer'),
  }))
}

const line = /^([0-9a-f]) ([0-9a-fA-F]{64})$/

/** Reads lines of `ID KEY`, a hexadecimal digit and 64 of them; `#` begins a remark. Undefined: one is neither. */
export function tokenKeysFrom(text: string): readonly TokenKey[] | undefined {
  const keys: TokenKey[] = []
  for (const row of text.split(/[\n,]/)) {
    const plain = row.trim()
    if (plain === '' || plain.startsWith('#')) continue
    const [, id, hex] = line.exec(plain.replace(/^([0-9a-f]):/, '$1 ')) ?? []
    if (id === undefined || hex === undefined) return undefined
    keys.push({ id: Number.parseInt(id, 16), bytes: Buffer.from(hex, 'hex') })
  }
  return keys
}
