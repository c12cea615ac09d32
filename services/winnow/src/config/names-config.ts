import { detectorUrlMistake, kindShape, Names, Presidio } from '@winnow/privacy'
import { bytesKey, durationKey, type Log, type Metrics } from '@winnow/runtime'
import { z } from 'zod'
import { readTlsFiles } from '../read-key-file.ts'

/** As Presidio has it: `en`, `de`, `pt-br`. */
export const languageKey = z
  .string()
  .regex(/^[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{2,8})*$/, { error: 'give a language, as en or de' })

const waitMaxMs = 60_000

/** `privacy.names`: who is asked for names of people, and how long. */
export const namesConfigSchema = z
  .strictObject({
    /** Of a detector with Presidio's API; absent: no names are sought. */
    url: z.string().min(1).optional(),
    /** Sent as `authorization: Bearer …`. */
    token: z
      .string()
      .regex(/^[\x21-\x7e]{1,4096}$/, { error: 'use letters, digits and signs of ASCII, no blank' })
      .optional(),
    /** Who signed the detector's certificate, where the system does not know it. */
    caFile: z.string().min(1).optional(),
    /** Plain http beyond this machine. */
    insecure: z.boolean().default(false),
    language: languageKey.default('en'),
    /** What is sought, in the detector's words; the small letters of it are the word of its tokens. */
    entities: z
      .array(
        z.string().refine(text => kindShape.test(text.toLowerCase()), {
          error: 'use 1 to 24 of A-Z, 0-9 and _, a letter first',
        }),
      )
      .min(1)
      .max(50)
      .default(['PERSON']),
    scoreMin: z.number().min(0).max(1).default(0.5),
    /** For all texts of one request; what was not looked at by then is `<unscanned>`. */
    waitMax: durationKey('2s').refine(ms => ms >= 10 && ms <= waitMaxMs, {
      error: 'give 10ms to 60s',
    }),
    /** Calls at once, of all tenants and of one. */
    callsMax: z.int().min(1).max(256).default(8),
    callsPerTenantMax: z.int().min(1).max(256).default(4),
    /** Calls of one tenant that wait for others to end. */
    waitingPerTenantMax: z.int().min(0).max(100_000).default(1_000),
    /** Texts of one call; 1: they are asked one at a time, as a text and not a list. */
    callTextsMax: z.int().min(1).max(500).default(100),
    /** Of the texts of one call, as JSON; a larger text goes alone. */
    callBytesMax: bytesKey('16KiB'),
    textBytesMax: bytesKey('256KiB'),
    /** Different texts of one request. */
    textsMax: z.int().min(1).max(1_000_000).default(20_000),
    /** Calls of a tenant that fail in a row, and for how long none of his is made then. */
    failuresMax: z.int().min(1).max(1_000).default(5),
    pause: durationKey('10s'),
  })
  .superRefine(({ url, insecure }, context) => {
    const message = url && detectorUrlMistake(url, { isInsecure: insecure })
    if (message) context.addIssue({ code: 'custom', path: ['url'], message })
  })
  .prefault({})

type NamesConfig = z.infer<typeof namesConfigSchema>

interface WithNames {
  readonly privacy: {
    readonly names: NamesConfig
    readonly tenants: Readonly<
      Record<
        string,
        { readonly names?: boolean | undefined; readonly language?: string | undefined }
      >
    >
  }
}

/** Undefined: nobody is asked. Reads the file that `caFile` names. */
export function presidioOf({ privacy }: WithNames): Presidio | undefined {
  const { url, token, caFile, entities, scoreMin, callsMax } = privacy.names
  if (url === undefined) return undefined
  const { ca } = readTlsFiles('privacy.names', { caFile })
  return new Presidio({
    url,
    ...(token !== undefined && { token }),
    ...(ca !== undefined && { ca }),
    entities,
    scoreMin,
    connectionsMax: callsMax,
  })
}

/** Names of all tenants; undefined where nobody is asked. */
export function namesOf(
  config: WithNames,
  { metrics, log }: { readonly metrics: Metrics; readonly log: Log },
): Names | undefined {
  const detector = presidioOf(config)
  if (detector === undefined) return undefined
  const { names } = config.privacy
  return new Names({
    detector,
    languageOf: tenant => languageOf(config, tenant),
    limits: {
      waitMaxMs: names.waitMax,
      batchBytesMax: names.callBytesMax,
      batchTextsMax: names.callTextsMax,
      textBytesMax: names.textBytesMax,
      textsMax: names.textsMax,
      failuresMax: names.failuresMax,
      pauseMs: names.pause,
      slotsMax: names.callsMax,
      slotsPerOwnerMax: names.callsPerTenantMax,
      waitingPerOwnerMax: names.waitingPerTenantMax,
    },
    onUnscanned: (tenant, reason, count) =>
      metrics.unscanned.inc({ tenant: metrics.capped('tenant', tenant), reason }, count),
    nowMs: () => performance.now(),
    log,
  })
}

/** Undefined: no names are sought in what this tenant sends. */
function languageOf({ privacy }: WithNames, tenant: string): string | undefined {
  const own = Object.hasOwn(privacy.tenants, tenant) ? privacy.tenants[tenant] : undefined
  return own?.names === false ? undefined : (own?.language ?? privacy.names.language)
}

/** Every language that somebody's texts are in. */
export function languagesOf({ privacy }: WithNames): string[] {
  const own = Object.values(privacy.tenants).flatMap(({ names, language }) =>
    names === false || language === undefined ? [] : [language],
  )
  return [...new Set([privacy.names.language, ...own])]
}
