import { assemblerConfigSchema } from '@winnow/assembler'
import { costPricesSchema } from '@winnow/cost'
import { formats } from '@winnow/model'
import { queryConfigSchema } from '@winnow/query'
import { kafkaSourceConfigSchema, receiverConfigSchema } from '@winnow/receiver'
import {
  addressKey,
  apiKeysSchema,
  bytesKey,
  durationKey,
  isLoopback,
  PipelineError,
  readConfig,
  tlsConfigSchema,
  versionKey,
} from '@winnow/runtime'
import { samplerConfigSchema } from '@winnow/sampler'
import { writerConfigSchema } from '@winnow/writer'
import { z } from 'zod'
import { kafkaRingKey } from './config/kafka-config.ts'
import { levelsConfigSchema } from './config/levels-config.ts'
import { hotKey, opensearchConfigSchema } from './config/opensearch-config.ts'
import { outcomesConfigSchema } from './config/outcomes-config.ts'
import { privacyConfigSchema } from './config/privacy-config.ts'
import { bufferKey, redisConfigSchema } from './config/redis-config.ts'
import { blobsKey, s3ConfigSchema } from './config/s3-config.ts'
import { sourceMistakes } from './source-mistakes.ts'
import { listenOptions } from './start-error.ts'

const keysOfAll = z.strictObject({
  v: versionKey('configuration').default(formats.configuration),
  /** `previous`: written as the release before does, while one of its instances may still read it. */
  formats: z.enum(['current', 'previous']).default('current'),
  /** The folder of everything that is kept on this machine. */
  data: z.string().min(1).default('./data'),
  /** `file`, or `kafka://HOST:PORT[,HOST:PORT…]`. */
  bus: z
    .string()
    .regex(/^(file|kafka:\/\/[^/@]+)$/, {
      error:
        'use file, or kafka://HOST:PORT[,HOST:PORT…]; who logs in is kafka.saslUsername and kafka.saslPassword',
    })
    .default('file'),
  /** Where kept traces can be found for days. */
  hot: hotKey,
  /** Where segments and snapshots lie. */
  blobs: blobsKey,
  s3: s3ConfigSchema,
  /** What keeps the bytes of open traces near. */
  buffer: bufferKey,
  redis: redisConfigSchema,
  topics: z
    .strictObject({
      prefix: z
        .string()
        .regex(/^[a-zA-Z0-9._-]{1,100}$/)
        .default('winnow'),
      generation: z.int().min(1).default(1),
      partitions: z.int().min(1).max(1024).default(12),
      /** Copies of every partition of a topic that is made; absent: three, or one a broker if fewer. */
      replication: z.int().min(1).max(10).optional(),
    })
    .prefault({}),
  retention: z
    .strictObject({
      spans: durationKey('24h'),
      evidence: durationKey('24h'),
      decisions: durationKey('96h'),
    })
    .prefault({}),
  kafka: z
    .strictObject({
      tls: z.boolean().default(false),
      caFile: z.string().optional(),
      certFile: z.string().optional(),
      keyFile: z.string().optional(),
      saslMechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
      saslUsername: z.string().optional(),
      saslPassword: z.string().optional(),
      ring: kafkaRingKey,
    })
    .prefault({}),
  opensearch: opensearchConfigSchema,
  file: z
    .strictObject({
      /** Appends are refused while the disk has less than this. */
      freeMin: bytesKey('512MiB'),
      /** Memory for the tail of `spans`, from which the assembler and the writer read. */
      ring: bytesKey('256MiB'),
      /** Largest `spans`: over it the oldest goes before its time, if all have read it. */
      spansMax: bytesKey('1TiB'),
    })
    .prefault({}),
  /**
   * SHA-256 of a key to its tenant, or to `{tenant, scopes, name, expires}`. Without keys and `keysFile`
   * every credential is ignored, and the tenant is `default`.
   */
  keys: apiKeysSchema.optional(),
  /** A file with `v: 1` and further `keys:`, read again when it changes. */
  keysFile: z.string().min(1).optional(),
  /** The certificate of every listener. */
  tls: tlsConfigSchema,
  /** Listen beyond this machine although nobody needs a key. */
  insecure: z.boolean().default(false),
  /**
   * A policy file, read again when it changes; without it the default policy decides. In a fleet it is a
   * seed: once somebody has applied a policy through the API, that one decides.
   */
  policy: z.string().min(1).optional(),
  /** Another policy file, evaluated beside the one in force; its verdicts are recorded and decide nothing. */
  policyShadow: z.string().min(1).optional(),
  otlpGrpc: addressKey('127.0.0.1:4317'),
  otlpHttp: addressKey('127.0.0.1:4318'),
  api: addressKey('127.0.0.1:4300'),
  metrics: addressKey('127.0.0.1:9464'),
  /** What senders' attributes, evaluations and scores are called here, and when they fail. */
  outcomes: outcomesConfigSchema,
  /** What attributes are, where the program's own lists do not know, or should not decide. */
  levels: levelsConfigSchema,
  /** What is taken out of everything that comes in, before it is kept anywhere. */
  privacy: privacyConfigSchema,
  kafkaSource: kafkaSourceConfigSchema,
  receiver: receiverConfigSchema,
  assembler: assemblerConfigSchema,
  /** `retention.spans` is its `spansRetention`: one truth. */
  sampler: samplerConfigSchema.omit({ spansRetention: true }).prefault({}),
  writer: writerConfigSchema,
  query: queryConfigSchema,
  /** What a month of storage costs, for `winnow cost`. */
  costs: costPricesSchema,
})

/** `winnow.yaml` whole. winnow.example.yaml has every key with its default. */
export const configSchema = keysOfAll.superRefine((config, context) => {
  const mistakes = [
    ...livesThatContradict(config),
    ...sourceMistakes(config),
    ...sharedListeners(config),
    ...unusedAccess(config),
  ]
  for (const { path, message } of mistakes) {
    context.addIssue({ code: 'custom', path, message })
  }
  if (hasKeys(config) || config.insecure) return
  for (const key of beyondLoopback(config)) {
    const message =
      'without keys anybody there could send and read: set keys or keysFile, or use 127.0.0.1 (--insecure: if that is meant)'
    context.addIssue({ code: 'custom', path: [key], message })
  }
})

type Listeners = Pick<z.infer<typeof keysOfAll>, keyof typeof listenOptions>

export function hasKeys(config: Pick<Config, 'keys' | 'keysFile'>): boolean {
  return config.keys !== undefined || config.keysFile !== undefined
}

/** What says how a service is reached, and would not be used: its passwords would travel in the clear. */
function unusedAccess(config: z.infer<typeof keysOfAll>) {
  const mistakes: { readonly path: string[]; readonly message: string }[] = []
  const clusters = {
    kafka: config.bus.startsWith('kafka:'),
    kafkaSource: config.kafkaSource.topics.length > 0,
  }
  const servers = {
    kafka: config.kafka.tls || !clusters.kafka,
    kafkaSource: config.kafkaSource.tls || !clusters.kafkaSource,
    redis: config.redis.tls || config.buffer === 'none',
    opensearch: !config.hot.startsWith('http:'),
    s3: config.s3.endpoint?.startsWith('http:') !== true,
  }
  for (const [section, isUsed] of Object.entries(servers) as [keyof typeof servers, boolean][]) {
    const { caFile, certFile, keyFile } = {
      certFile: undefined,
      keyFile: undefined,
      ...config[section],
    }
    const given = Object.entries({ caFile, certFile, keyFile }).find(
      ([, path]) => path !== undefined,
    )
    if (!isUsed && given !== undefined) {
      const how =
        'tls' in config[section] ? `set ${section}.tls: true` : 'use https:// in its address'
      const message = `nothing is asked with TLS there: ${how}, or leave it out`
      mistakes.push({ path: [section, given[0]], message })
    }
    if ((certFile === undefined) !== (keyFile === undefined)) {
      const path = [section, certFile === undefined ? 'certFile' : 'keyFile']
      mistakes.push({ path, message: 'give certFile and keyFile together, or neither' })
    }
  }
  for (const [section, isAsked] of Object.entries(clusters) as [keyof typeof clusters, boolean][]) {
    const { saslMechanism, saslUsername, saslPassword } = config[section]
    const hasLogin = (saslUsername ?? saslPassword) !== undefined
    if (!isAsked || !hasLogin || saslMechanism !== undefined) continue
    const message = 'give plain, scram-sha-256 or scram-sha-512: without it nobody logs in'
    mistakes.push({ path: [section, 'saslMechanism'], message })
  }
  return mistakes
}

/** Two listeners on one address: the second could not start. */
function sharedListeners(config: Listeners) {
  const names = Object.keys(listenOptions) as (keyof Listeners)[]
  return names.flatMap((name, at) => {
    const { host, port } = config[name]
    const other = names
      .slice(0, at)
      .find(one => port !== 0 && config[one].port === port && config[one].host === host)
    const message = `the address of ${other}, too: give each its own (${listenOptions[name]} HOST:PORT)`
    return other === undefined ? [] : [{ path: [name], message }]
  })
}

/** The listeners that other machines reach. */
export function beyondLoopback(config: Listeners): (keyof Listeners)[] {
  const names = Object.keys(listenOptions) as (keyof Listeners)[]
  return names.filter(name => !isLoopback(config[name].host))
}

/**
 * A trace that the index has forgotten is taken for one never seen. So nothing of it may still come from
 * `spans` then, and until then every decision has to be there for whoever builds the index anew.
 */
function livesThatContradict({ retention, assembler, sampler }: z.infer<typeof keysOfAll>) {
  const mistakes: { readonly path: (string | number)[]; readonly message: string }[] = []
  const { indexLife } = sampler
  const lines = assembler.closeTimes.map(line => line.openMax ?? 0)
  const openMax = Math.max(assembler.openMax, ...lines)
  if (openMax >= retention.spans) {
    const at = lines.indexOf(openMax)
    mistakes.push({
      path: ['assembler', ...(at < 0 ? [] : ['closeTimes', at]), 'openMax'],
      message: 'give less than retention.spans: an open trace must not lose its first spans',
    })
  }
  if (indexLife <= retention.spans + assembler.maxStall + openMax) {
    mistakes.push({
      path: ['sampler', 'indexLife'],
      message:
        'give more than retention.spans, assembler.maxStall and the longest openMax together: what comes after it is decided anew',
    })
  }
  if (retention.decisions <= indexLife) {
    mistakes.push({
      path: ['retention', 'decisions'],
      message: 'give more than sampler.indexLife: the index is built from what is retained',
    })
  }
  return mistakes
}

export type Config = z.infer<typeof configSchema>

/** Every key that a `WINNOW_…` variable may set: the leaves of the schema, what is a list or a map apart. */
export function configKeys(): string[] {
  return leaves(z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }), '')
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, unknown>>
}

function leaves(schema: unknown, path: string): string[] {
  const { properties } = schema as JsonSchema
  const isText = path !== '' && !/^(keys|outcomes|levels\..*)$/.test(path)
  if (properties === undefined) return isText ? [path] : []
  return Object.entries(properties).flatMap(([name, child]) =>
    leaves(child, path === '' ? name : `${path}.${name}`),
  )
}

/** Reads the file, the variables and the options of the command line, in rising precedence. */
export function loadConfig(source: {
  readonly file?: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly options: Readonly<Record<string, string | undefined>>
  readonly readFile: (path: string) => string
}): Config {
  const text = source.file === undefined ? undefined : textOf(source.file, source.readFile)
  const flags = Object.entries(source.options).filter(([, value]) => value !== undefined)
  // An option is the variable of the same key: one way in, one precedence.
  const env = {
    ...source.env,
    ...Object.fromEntries(flags.map(([k, v]) => [optionVariable(k), v])),
  }
  return readConfig(configSchema, {
    keys: configKeys(),
    env,
    readFile: source.readFile,
    ...(text !== undefined && { text }),
    ...(source.file !== undefined && { source: source.file }),
  })
}

function textOf(file: string, readFile: (path: string) => string): string {
  try {
    return readFile(file)
  } catch (cause) {
    const reason = (cause as Error).message
    throw new PipelineError('CONFIG_INVALID', `cannot read ${file}: ${reason} (--config)`, {
      cause,
    })
  }
}

function optionVariable(option: string): string {
  return `WINNOW_${option.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`
}
