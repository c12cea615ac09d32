import { type ApiKey, type ApiKeys, hashOfKey, tenantScopes } from '@winnow/runtime'

/** Keys in plain text, each with its tenant or with what it is, as a service is given them. */
export function apiKeysOf(
  keys: Readonly<Record<string, string | (Partial<ApiKey> & { readonly tenant: string })>>,
): ApiKeys {
  const entries = Object.entries(keys).map(([key, entry]): [string, ApiKey] => {
    const given = typeof entry === 'string' ? { tenant: entry } : entry
    return [hashOfKey(key), { scopes: tenantScopes, ...given }]
  })
  return new Map(entries)
}
