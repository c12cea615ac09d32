import { createLog, KeyRing, systemClock } from '@winnow/runtime'
import { redactsAnybody } from './config/privacy-config.ts'
import { type Config, hasKeys } from './program-config.ts'

/** What may be meant, and most likely is not. No secret is in it. */
export interface PrivacyWarning {
  readonly code: 'TOKEN_KEYS_NOT_SHARED' | 'TENANT_UNKNOWN'
  /** Of `winnow.yaml`. */
  readonly key: string
  readonly found: string
  readonly remedy: string
}

/** On Kafka each process that has no shared secret draws token keys of its own, and an erasure is made with another's. */
export function tokenKeysWarning(config: Config): PrivacyWarning | undefined {
  const { bus, privacy } = config
  if (bus === 'file' || privacy.tokenKeys !== undefined || !redactsAnybody(privacy))
    return undefined
  return {
    code: 'TOKEN_KEYS_NOT_SHARED',
    key: 'privacy.tokenKeys',
    found:
      'not set, with the bus on Kafka: each process makes token keys of its own, so that the same thing gets another token on each, and what redaction changes cannot be erased by value',
    remedy:
      'give receivers, writers and queries one secret: WINNOW_PRIVACY_TOKEN_KEYS_FILE, made with openssl rand -hex 32',
  }
}

/** A tenant that is written wrong has the settings of all, without a word. */
export function unknownTenantsWarning(config: Config): PrivacyWarning | undefined {
  const { kafkaSource, privacy } = config
  const named = Object.keys(privacy.tenants)
  if (named.length === 0) return undefined
  const isSource = kafkaSource.topics.length > 0
  // Whoever writes into those topics names any tenant he likes.
  if (isSource && kafkaSource.tenantHeader !== undefined) return undefined
  const known = tenantsOfKeys(config)
  if (known === undefined) return undefined
  if (isSource) known.add(kafkaSource.tenant ?? 'default')
  const unknown = named.filter(tenant => !known.has(tenant))
  if (unknown.length === 0) return undefined
  return {
    code: 'TENANT_UNKNOWN',
    key: 'privacy.tenants',
    found: `${unknown.join(', ')}: no key speaks for ${unknown.length === 1 ? 'this tenant' : 'these tenants'}, so that the settings hold for nobody`,
    remedy: `write the name as keys have it (${[...known].slice(0, shownMax).join(', ') || 'there are none'}), or take it out`,
  }
}

const shownMax = 5

/** Undefined: the keys cannot be read, which is said elsewhere. */
function tenantsOfKeys({ keys, keysFile }: Config): Set<string> | undefined {
  if (!hasKeys({ keys, keysFile })) return new Set(['default'])
  const log = createLog(systemClock, () => {})
  try {
    const ring = KeyRing.open({
      log,
      ...(keys !== undefined && { keys }),
      ...(keysFile !== undefined && { keysFile }),
    })
    ring?.close()
    return new Set(ring?.tenants)
  } catch {
    return undefined
  }
}
