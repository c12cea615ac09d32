import { apiKeysSchema, hashOfKey, scopes, tenantScopes } from '@winnow/runtime'
import { CommandEnd, exitCode } from './exit-codes.ts'

export interface NewKeyOptions {
  readonly tenant: string
  /** Names with commas between them. */
  readonly scopes?: string
  readonly name?: string
  readonly expires?: string
}

export interface NewKey {
  /** Shown once, stored nowhere. */
  readonly key: string
  readonly hash: string
  readonly entry: {
    readonly tenant: string
    readonly scopes: readonly string[]
    readonly name?: string
    readonly expires?: string
  }
}

/** Bytes that make a key: none is found by trying. */
export const keyRandomBytes = 32

/** A key of `random` bytes, and the entry that lets it in; a mistake ends the command as wrong use. */
export function newKey(options: NewKeyOptions, random: Uint8Array): NewKey {
  const { tenant, name, expires } = options
  const wanted = options.scopes?.split(',').map(scope => scope.trim()) ?? tenantScopes
  const unknown = wanted.find(scope => !scopes.some(one => one === scope))
  if (unknown !== undefined) {
    const message = `--scopes "${unknown}" is none: use some of ${scopes.join(',')}`
    throw new CommandEnd(exitCode.usage, message)
  }
  // Known by its first letters to whoever looks for secrets that have leaked.
  const key = `winnow_${Buffer.from(random).toString('base64url')}`
  const hash = hashOfKey(key)
  const entry = {
    tenant,
    scopes: [...new Set(wanted)],
    ...(name !== undefined && { name }),
    ...(expires !== undefined && { expires }),
  }
  const checked = apiKeysSchema.safeParse({ [hash]: entry })
  if (checked.success) return { key, hash, entry }
  const message = checked.error.issues[0]?.message.replace(/^entry 1 \(\S+ /, '') ?? ''
  throw new CommandEnd(exitCode.usage, `the entry ${message}`)
}

/** The line for `keys:` of winnow.yaml or of the keys file. A JSON string is a YAML one. */
export function entryLine({ hash, entry }: NewKey): string {
  const { tenant, scopes: given, ...rest } = entry
  const more = Object.entries(rest).map(([key, value]) => `, ${key}: ${JSON.stringify(value)}`)
  const what = `tenant: ${JSON.stringify(tenant)}, scopes: [${given.join(', ')}]${more.join('')}`
  return `  ${hash}: { ${what} }`
}
