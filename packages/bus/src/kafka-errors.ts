import { PipelineError, type PipelineErrorCode } from '@winnow/runtime'
import { kafkaJsPart } from './kafka-js.ts'

/** What kafkajs puts on its errors. `type` is the broker's own name for a refusal. */
interface KafkaErrorShape {
  readonly name?: unknown
  readonly message?: unknown
  readonly type?: unknown
  readonly code?: unknown
  readonly cause?: unknown
}

interface Meaning {
  readonly code: PipelineErrorCode
  readonly remedy: string
}

const refused: Meaning = {
  code: 'CONFIG_INVALID',
  remedy:
    'grant it to the user of `kafka.saslUsername`: `winnow topics --plan` prints the topics to make and the rights to give',
}

const sasl: Meaning = {
  code: 'CONFIG_INVALID',
  remedy:
    'correct `kafka.saslMechanism`, `kafka.saslUsername` or `kafka.saslPassword` to what the listener accepts',
}

const tooLarge: Meaning = {
  code: 'PAYLOAD_TOO_LARGE',
  remedy: 'split it; a record may have `recordBytesMax`, an append `producerBatchBytesMax`',
}

const staleOwner: Meaning = { code: 'STALE_OWNER', remedy: 'fold it again from the committed one' }

/** The refusals that mean something other than "ask again": every other one is BUS_UNAVAILABLE. */
const meanings: Readonly<Record<string, Meaning>> = {
  MESSAGE_TOO_LARGE: tooLarge,
  RECORD_LIST_TOO_LARGE: tooLarge,
  OFFSET_METADATA_TOO_LARGE: {
    code: 'PAYLOAD_TOO_LARGE',
    remedy: 'set the broker’s offset.metadata.max.bytes to 4096 or more',
  },
  INVALID_COMMIT_OFFSET_SIZE: {
    code: 'PAYLOAD_TOO_LARGE',
    remedy: 'set the broker’s offset.metadata.max.bytes to 4096 or more',
  },
  UNKNOWN_MEMBER_ID: staleOwner,
  FENCED_INSTANCE_ID: staleOwner,
  TOPIC_AUTHORIZATION_FAILED: refused,
  GROUP_AUTHORIZATION_FAILED: refused,
  CLUSTER_AUTHORIZATION_FAILED: refused,
  SASL_AUTHENTICATION_FAILED: sasl,
  UNSUPPORTED_SASL_MECHANISM: sasl,
  ILLEGAL_SASL_STATE: sasl,
  INVALID_REPLICATION_FACTOR: {
    code: 'CONFIG_INVALID',
    remedy: 'set `topics.replication` to at most the number of brokers',
  },
  INVALID_CONFIG: { code: 'CONFIG_INVALID', remedy: 'see the broker’s log for the setting' },
  POLICY_VIOLATION: {
    code: 'CONFIG_INVALID',
    remedy:
      'make it by hand as the cluster’s policy demands: `winnow topics --plan` prints what is needed',
  },
  INVALID_TOPIC_EXCEPTION: {
    code: 'CONFIG_INVALID',
    remedy: 'use letters, digits, `.`, `_` and `-` in `topics.prefix`',
  },
  INCONSISTENT_GROUP_PROTOCOL: {
    code: 'CONFIG_INVALID',
    remedy: 'give the group another prefix: a program other than this one has joined it',
  },
  INVALID_SESSION_TIMEOUT: {
    code: 'CONFIG_INVALID',
    remedy: 'set `sessionMs` within the broker’s group.min and group.max.session.timeout.ms',
  },
  GROUP_MAX_SIZE_REACHED: { code: 'CONFIG_INVALID', remedy: 'run fewer instances' },
}

/** Node's words for a peer whose certificate or protocol is not what `tls` says. */
const tlsCode = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(GET|VERIFY))/
const tlsText = /certificate|SSL routines|TLS connection|wrong version number|EPROTO/i

/**
 * A connection that ended, or that nobody answered on: a restart, a pause, a balancer without a broker behind it. kafkajs
 * calls it a failed login where it was logging in, and Node names TLS where that was being agreed on.
 */
const cutCode = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET)/
const cutText = /closed connection|timed out|timeout|disconnected|socket hang up|ECONN|EPIPE/i

/** The only place where kafkajs' errors and the broker's become ours. `what` says what was being done. */
export function fromKafka(error: unknown, what: string): PipelineError {
  if (error instanceof PipelineError) return error
  const chain = causes(error)
  const type = kafkaType(error)
  const text = chain.map(one => one.message).find(message => typeof message === 'string') ?? ''
  const meaning = type === undefined ? undefined : meanings[type]
  if (meaning !== undefined) {
    return new PipelineError(meaning.code, `${what}: ${type}; ${meaning.remedy}`, { cause: error })
  }
  if (chain.some(isCut)) {
    return new PipelineError('BUS_UNAVAILABLE', `${what}: ${type ?? text}`, { cause: error })
  }
  if (chain.some(one => one.name === 'KafkaJSSASLAuthenticationError')) {
    return new PipelineError(sasl.code, `${what}: ${text}; ${sasl.remedy}`, { cause: error })
  }
  if (chain.some(isTls)) {
    const remedy = /expired/.test(text)
      ? 'have the certificate of the brokers at `bus` renewed, or that of `kafka.certFile`'
      : 'correct `kafka.tls`: whether the listener speaks it, and `kafka.caFile`'
    return new PipelineError('CONFIG_INVALID', `${what}: ${text}; ${remedy}`, { cause: error })
  }
  return new PipelineError('BUS_UNAVAILABLE', `${what}: ${type ?? text}`, { cause: error })
}

/**
 * The same with the remedy of who met no broker that it could talk to. `section`: whose keys say where
 * the brokers are and how they are asked.
 */
export function noBroker(
  error: PipelineError,
  section: 'kafka' | 'kafkaSource' = 'kafka',
): PipelineError {
  const keys = { kafka: '`bus`, `kafka.tls` and `kafka.sasl…`', kafkaSource: '`kafkaSource`' }
  const remedy = `start a broker there, or correct ${keys[section]}`
  const text = error.message.replace(/^\[\w+\] /, '')
  return new PipelineError('BUS_UNAVAILABLE', `${text}; ${remedy}`, { cause: error })
}

/** A broker's refusal by its number, as kafkajs has it: whether it is one for now only. */
export interface Refusal extends Error {
  readonly type: string
  readonly retriable: boolean
}

/** By kafkajs' own table, private to it. */
export function refusalOf(errorCode: number): Refusal {
  return kafkaJsPart<RefusalTable>('protocol/error').createErrorFromCode(errorCode)
}

interface RefusalTable {
  createErrorFromCode(errorCode: number): Refusal
}

/** The broker's name for its refusal, wherever in the chain of causes kafkajs left it. */
export function kafkaType(error: unknown): string | undefined {
  for (const one of causes(error)) if (typeof one.type === 'string') return one.type
  return undefined
}

function isCut({ code, message }: KafkaErrorShape): boolean {
  if (typeof code === 'string' && cutCode.test(code)) return true
  return typeof message === 'string' && cutText.test(message)
}

function isTls(error: KafkaErrorShape): boolean {
  if (typeof error.code === 'string' && tlsCode.test(error.code)) return true
  return typeof error.message === 'string' && tlsText.test(error.message)
}

/** At most eight deep: a chain may bite its tail. Aggregates count by their first error. */
function causes(error: unknown): KafkaErrorShape[] {
  const chain: KafkaErrorShape[] = []
  let next = error
  while (typeof next === 'object' && next !== null && chain.length < 8) {
    const shape: KafkaErrorShape & { readonly errors?: unknown } = next
    chain.push(shape)
    next = Array.isArray(shape.errors) ? shape.errors[0] : shape.cause
  }
  return chain
}
