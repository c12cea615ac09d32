import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import {
  ColdHashers,
  detectedKinds,
  FileColdKeys,
  FileTokenKeys,
  kindShape,
  Pattern,
  type RedactionSettings,
  Redactors,
  SharedTokenKeys,
  sharedTokenKeysFrom,
  type TokenKeys,
  Tokens,
  tokenKeyCheck,
} from '@winnow/privacy'
import type { Log } from '@winnow/runtime'
import { z } from 'zod'
import { languageKey, namesConfigSchema } from './names-config.ts'

/** Patterns of one list. Each is tried wherever its first character may stand. */
export const patternsMax = 50

const kinds = z.array(z.enum(detectedKinds)).max(detectedKinds.length)

const pattern = z
  .strictObject({
    /** The word of its tokens. */
    kind: z.string().regex(kindShape, { error: 'use 1 to 24 of a-z, 0-9 and _, a letter first' }),
    pattern: z.string().min(1),
  })
  .superRefine((one, context) => {
    try {
      new Pattern(one.kind, one.pattern)
    } catch (error) {
      const { message } = error as Error
      context.addIssue({ code: 'custom', path: ['pattern'], message })
    }
  })

const patterns = z.array(pattern).max(patternsMax)

const sharedKeys = z.string().refine(text => sharedTokenKeysFrom(text) !== undefined, {
  error:
    'give a secret of 16 characters or more; or, once there are several, lines (or a list with commas) of ID:SECRET, the id a hexadecimal digit, each once, the last one current',
})

/** `privacy`: what is taken out of spans, logs and evaluations before anything of them is kept. */
export const privacyConfigSchema = z
  .strictObject({
    redact: z.boolean().default(true),
    detect: kinds.default([...detectedKinds]),
    patterns: patterns.default([]),
    tokenKeys: sharedKeys.optional(),
    names: namesConfigSchema,
    /** By tenant, what differs. */
    tenants: z
      .record(
        z.string().min(1).max(64),
        z.strictObject({
          redact: z.boolean().optional(),
          detect: kinds.optional(),
          patterns: patterns.optional(),
          /** False: the detector of names is not asked. */
          names: z.boolean().optional(),
          /** That of `privacy.names.language` where it is absent. */
          language: languageKey.optional(),
        }),
      )
      .default({}),
  })
  .prefault({})

type PrivacyConfig = z.infer<typeof privacyConfigSchema>

interface WithPrivacy {
  readonly data: string
  readonly privacy: PrivacyConfig
}

/** Undefined where nothing of anybody is redacted. */
export function redactorsOf(config: WithPrivacy, log?: Log): Redactors | undefined {
  const { privacy } = config
  if (!redactsAnybody(privacy)) return undefined
  return new Redactors(
    tokenKeysOf(config, log),
    tenant => settingsOf(privacy, tenant),
    () => Date.now(),
    log,
  )
}

export function redactsAnybody({ redact, tenants }: PrivacyConfig): boolean {
  return redact || Object.values(tenants).some(one => one.redact === true)
}

/** One file a tenant in the data folder, made on first use, or drawn from what all receivers share. */
export function tokenKeysOf({ data, privacy }: WithPrivacy, log?: Log): TokenKeys {
  const shared = privacy.tokenKeys && sharedTokenKeysFrom(privacy.tokenKeys)
  return shared === undefined || shared === ''
    ? new FileTokenKeys(tokenKeysFolder(data), randomBytes, keyWarningTo(log))
    : new SharedTokenKeys(shared)
}

/** Check value of the key that makes a tenant's tokens, where this process has or was given one; makes none. */
export async function tokenKeyCheckOf(
  config: WithPrivacy,
  tenant: string,
): Promise<string | undefined> {
  const keys = tokenKeysOf(config)
  const known = await (keys instanceof FileTokenKeys ? keys.existing(tenant) : keys.keys(tenant))
  return known && tokenKeyCheck(new Tokens(known))
}

/**
 * The keys that cold's strings are hashed with. On files the process is the writer too; in a fleet only writers make
 * them, for a key of one's own equals nothing that they have put.
 */
export function coldHashersOf(
  { bus, data }: { readonly bus: string; readonly data: string },
  log: Log,
  { isWriter }: { readonly isWriter: boolean },
): ColdHashers {
  const random = isWriter || bus === 'file' ? randomBytes : undefined
  const keys = new FileColdKeys(coldKeysFolder(data), random, keyWarningTo(log))
  return new ColdHashers(keys, (tenant, error) =>
    log.error('cold.keys_not_renewed', error, { tenant }),
  )
}

export function coldKeysFolder(data: string): string {
  return join(data, 'keys', 'cold')
}

/** Said at most once a minute, as every warning. */
export function keyWarningTo(log: Log | undefined): (warning: string) => void {
  return warning => log?.warn('keys.readable_by_group', { warning })
}

export function tokenKeysFolder(data: string): string {
  return join(data, 'keys', 'tokens')
}

function settingsOf(
  { redact, detect, patterns: all, tenants }: PrivacyConfig,
  tenant: string,
): RedactionSettings {
  const own = Object.hasOwn(tenants, tenant) ? tenants[tenant] : undefined
  return {
    redact: own?.redact ?? redact,
    kinds: own?.detect ?? detect,
    patterns: (own?.patterns ?? all).map(one => new Pattern(one.kind, one.pattern)),
  }
}
