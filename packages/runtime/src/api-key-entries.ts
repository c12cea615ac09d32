import { z } from 'zod'
import { type ApiKey, scopes, tenantScopes } from './api-keys.ts'
import { rfc3339 } from './rfc3339.ts'

/** Keys of one source: the configuration, or the file. */
export const keysMax = 10_000

export type ApiKeyEntries = Readonly<Record<string, ApiKey>>

const sha256 = /^[0-9a-f]{64}$/

const tenantName = z.string().min(1).max(64)

const longForm = z.strictObject({
  tenant: tenantName,
  scopes: z.array(z.enum(scopes)).min(1).max(scopes.length).optional(),
  name: z.string().min(1).max(64).optional(),
  expires: rfc3339.optional(),
})

/**
 * `keys:` of a configuration or of a keys file: the SHA-256 of a key to its tenant, or to
 * `{tenant, scopes, name, expires}`. Every mistake is named at once; an entry by its place, and by the
 * first digits of its hash if it is one. What stands there instead is not shown: it may be the key itself.
 */
export const apiKeysSchema = z
  .record(z.string(), z.unknown(), {
    error: 'write SHA-256: TENANT, or SHA-256: { tenant, scopes: [ingest, …] }',
  })
  .transform((entries, context): ApiKeyEntries => {
    const all = Object.entries(entries)
    const mistakes: string[] = []
    if (all.length > keysMax) mistakes.push(`has ${all.length} keys, more than ${keysMax}`)
    const read: Record<string, ApiKey> = {}
    for (const [at, [hash, entry]] of all.slice(0, keysMax).entries()) {
      const key = sha256.test(hash) ? keyOf(entry) : notHashed
      if (typeof key === 'string') mistakes.push(`${placeOf(at, hash)} ${key}`)
      else read[hash] = key
    }
    if (mistakes.length === 0) return read
    const shown = mistakes.slice(0, mistakesShownMax)
    const more = mistakes.length - shown.length
    const message = [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })

const mistakesShownMax = 5

const notHashed = 'is no SHA-256 in 64 hex digits: printf %s KEY | sha256sum, or winnow keys new'

function placeOf(at: number, hash: string): string {
  return `entry ${at + 1}${sha256.test(hash) ? ` (${hash.slice(0, 8)}…)` : ''}`
}

/** The key, or what is wrong with its entry. */
function keyOf(entry: unknown): ApiKey | string {
  const form = z.string().safeParse(entry).success ? { tenant: entry } : entry
  const result = longForm.safeParse(form)
  if (!result.success) return mistakeOf(result.error.issues[0])
  const { tenant, scopes: given, name, expires } = result.data
  return {
    tenant,
    scopes: given ?? tenantScopes,
    ...(name !== undefined && { name }),
    // A day alone ends as it begins, in UTC.
    ...(expires !== undefined && { expiresAtMs: Date.parse(expires) }),
  }
}

const remedyOf: Readonly<Record<string, string>> = {
  tenant: 'needs a tenant of 1 to 64 characters',
  scopes: `has scopes that there are not: use some of ${scopes.join(', ')}`,
  name: 'has a name that is not of 1 to 64 characters',
  expires: 'has no time in expires: use 2027-01-31, or 2027-01-31T12:00:00Z',
}

function mistakeOf(issue: z.core.$ZodIssue | undefined): string {
  const remedy = remedyOf[String(issue?.path[0])]
  return remedy ?? 'is neither a tenant nor { tenant, scopes, name, expires }'
}
