import { hostname } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import {
  type Bus,
  FileBus,
  type FileBusOptions,
  KafkaBus,
  type KafkaBusOptions,
  KafkaSource,
  ReadOnlyFileBus,
  type Source,
  type TopicSpec,
} from '@winnow/bus'
import { type Log, systemClock } from '@winnow/runtime'
import { makeFolder } from './make-folder.ts'
import type { Config } from './program-config.ts'
import { readTlsFiles } from './read-key-file.ts'

/** The bus of the configuration. `hasThreads`: other threads of the process read from it, too. */
export async function openBus(
  config: Config,
  specs: Readonly<Record<'spans', TopicSpec>> & Readonly<Record<string, TopicSpec>>,
  log: Log,
  hasThreads = false,
): Promise<Bus> {
  if (config.bus === 'file') {
    makeFolder(config.data)
    return FileBus.open({
      folder: join(config.data, 'bus'),
      specs: Object.values(specs),
      clock: systemClock,
      limits: { freeBytesMin: config.file.freeMin },
      topicLimits: topicLimits(config, specs),
      onEvent: logging(log),
    })
  }
  const options = kafkaOptions(config, Object.values(specs), log)
  const { ring } = config.kafka
  const isTold = hasThreads && ring > 0
  return KafkaBus.open({ ...options, ...(isTold && { tails: { [specs.spans.name]: ring } }) })
}

/**
 * Only `spans` may be cut for room: a decision that goes before the index's life would let a keep be
 * forgotten. The others end where the disk does, and then nothing is taken any more.
 */
function topicLimits(
  { file }: Config,
  specs: Readonly<Record<'spans', TopicSpec>> & Readonly<Record<string, TopicSpec>>,
): NonNullable<FileBusOptions['topicLimits']> {
  const whole = { logBytesMax: Number.MAX_SAFE_INTEGER }
  return {
    ...Object.fromEntries(Object.values(specs).map(({ name }) => [name, whole])),
    [specs.spans.name]: { ringBytes: file.ring, logBytesMax: file.spansMax },
  }
}

/** The same for who only looks: it makes, repairs and deletes nothing. `specs`: in flow order. */
export async function openBusForReading(
  config: Config,
  specs: readonly TopicSpec[],
  log: Log,
): Promise<Bus> {
  if (config.bus === 'file') {
    return ReadOnlyFileBus.open({ folder: join(config.data, 'bus'), specs })
  }
  return KafkaBus.open({ ...kafkaOptions(config, specs, log), mayCreate: false })
}

/** The topics of others that `kafkaSource` names; undefined where it names none. */
export async function openKafkaSource(config: Config, log: Log): Promise<Source | undefined> {
  const { topics, group, startFrom, tenantHeader, inflightBytesMax } = config.kafkaSource
  if (topics.length === 0) return undefined
  return KafkaSource.open({
    ...sourceAccess(config),
    topics,
    group,
    startFrom,
    bytesMax: inflightBytesMax,
    ...(tenantHeader !== undefined && { headerName: tenantHeader }),
    onEvent: logging(log),
  })
}

/** How the cluster of `kafkaSource` is asked: its own, or that of the bus. */
export function sourceAccess(
  config: Config,
): Pick<KafkaBusOptions, 'brokers' | 'clientId' | 'tls' | 'sasl'> {
  const { brokers } = config.kafkaSource
  const isOwn = brokers !== undefined
  return {
    brokers: (brokers ?? config.bus.slice('kafka://'.length)).split(','),
    clientId: `winnow-source-${hostname()}-${process.pid}`,
    ...security(isOwn ? 'kafkaSource' : 'kafka', isOwn ? config.kafkaSource : config.kafka),
  }
}

/** How the cluster that `bus` names is asked. */
export function kafkaOptions(
  config: Config,
  specs: readonly TopicSpec[],
  log: Log,
): KafkaBusOptions {
  return {
    brokers: config.bus.slice('kafka://'.length).split(','),
    clientId: `winnow-${hostname()}-${process.pid}`,
    specs,
    ...(config.topics.replication !== undefined && { replication: config.topics.replication }),
    ...security('kafka', config.kafka),
    onEvent: logging(log),
  }
}

function logging(log: Log): (event: object & { readonly kind: string }) => void {
  return event => {
    const isUsual = event.kind === 'joined' || event.kind === 'expired'
    const isEarly = 'cause' in event && event.cause === 'size'
    if (isUsual && !isEarly) log.info(`bus.${event.kind}`, fields(event))
    else log.warn(`bus.${event.kind}`, fields(event))
  }
}

function security(
  section: 'kafka' | 'kafkaSource',
  kafka: Pick<Config['kafka'], keyof Config['kafka'] & keyof Config['kafkaSource']>,
): Pick<KafkaBusOptions, 'tls' | 'sasl'> {
  const { saslMechanism, saslUsername, saslPassword } = kafka
  const files = readTlsFiles(section, kafka)
  return {
    ...(kafka.tls && { tls: Object.keys(files).length > 0 ? files : true }),
    ...(saslMechanism !== undefined && {
      sasl: {
        mechanism: saslMechanism,
        username: saslUsername ?? '',
        password: saslPassword ?? '',
      },
    }),
  }
}

/** Numbers, names and flags of an event; an error by its message alone, a list by its length. */
function fields(event: object): Record<string, string | number | boolean> {
  const plain = Object.entries(event).flatMap(([name, value]) => {
    if (name === 'kind') return []
    if (value instanceof Error) return [[name, value.message]]
    if (Array.isArray(value)) return [[name, value.length]]
    return ['string', 'number', 'boolean'].includes(typeof value) ? [[name, value]] : []
  })
  return Object.fromEntries(plain)
}
