import { PipelineError } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { fromKafka, kafkaType, refusalOf } from './kafka-errors.ts'

const refusal = (type: string): Error => Object.assign(new Error(type), { type })

test('a refusal by the broker has our code, what was done, its name and a remedy', () => {
  for (const [type, code] of [
    ['MESSAGE_TOO_LARGE', 'PAYLOAD_TOO_LARGE'],
    ['OFFSET_METADATA_TOO_LARGE', 'PAYLOAD_TOO_LARGE'],
    ['UNKNOWN_MEMBER_ID', 'STALE_OWNER'],
    ['TOPIC_AUTHORIZATION_FAILED', 'CONFIG_INVALID'],
    ['SASL_AUTHENTICATION_FAILED', 'CONFIG_INVALID'],
    ['INVALID_REPLICATION_FACTOR', 'CONFIG_INVALID'],
  ] as const) {
    const error = fromKafka(refusal(type), 'doing it')
    expect(error.code).toBe(code)
    expect(error.message).toMatch(new RegExp(`doing it: ${type}; \\w`))
  }
})

test('neither yes nor no is BUS_UNAVAILABLE: ask again', () => {
  for (const type of [
    'REBALANCE_IN_PROGRESS',
    'ILLEGAL_GENERATION',
    'NOT_LEADER_FOR_PARTITION',
    'NOT_ENOUGH_REPLICAS',
    'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    'REQUEST_TIMED_OUT',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'GROUP_COORDINATOR_NOT_AVAILABLE',
  ]) {
    const error = fromKafka(refusal(type), 'doing it')
    expect([error.code, error.retryable]).toEqual(['BUS_UNAVAILABLE', true])
  }
})

test('a refusal by its number has its name, and whether it is one for now', () => {
  for (const [code, type, retriable] of [
    [3, 'UNKNOWN_TOPIC_OR_PARTITION', true],
    [6, 'NOT_LEADER_FOR_PARTITION', true],
    [7, 'REQUEST_TIMED_OUT', true],
    [10, 'MESSAGE_TOO_LARGE', false],
    [19, 'NOT_ENOUGH_REPLICAS', true],
    [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', true],
    [29, 'TOPIC_AUTHORIZATION_FAILED', false],
    [30_000, 'KAFKAJS_UNKNOWN_ERROR_CODE', false],
  ] as const) {
    expect(refusalOf(code)).toMatchObject({ type, retriable })
  }
})

test('the refusal is found below what kafkajs wraps around it, and its cause is kept', () => {
  const wrapped = new Error('retries exceeded', {
    cause: Object.assign(new Error('several'), { errors: [refusal('MESSAGE_TOO_LARGE')] }),
  })
  expect(kafkaType(wrapped)).toBe('MESSAGE_TOO_LARGE')
  const error = fromKafka(wrapped, 'appending')
  expect([error.code, error.cause]).toEqual(['PAYLOAD_TOO_LARGE', wrapped])
})

test('a certificate that is not trusted names `kafka.tls`, a refused password its key', () => {
  const cert = Object.assign(new Error('self-signed certificate'), {
    name: 'KafkaJSConnectionError',
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  })
  expect(fromKafka(cert, 'opening').message).toMatch(
    /CONFIG_INVALID.*`kafka\.tls`.*`kafka\.caFile`/,
  )
  const sasl = Object.assign(new Error('PLAIN authentication failed'), {
    name: 'KafkaJSSASLAuthenticationError',
  })
  expect(fromKafka(sasl, 'opening').message).toMatch(/CONFIG_INVALID.*`kafka\.saslPassword`/)
})

test('a login or a handshake that was cut, or that nobody answered, is asked again', () => {
  const sasl = (text: string) =>
    Object.assign(new Error(`SASL PLAIN authentication failed: ${text}`), {
      name: 'KafkaJSSASLAuthenticationError',
    })
  const cut = Object.assign(
    new Error('Client network socket disconnected before secure TLS connection was established'),
    { code: 'ECONNRESET' },
  )
  for (const error of [
    sasl('Closed connection'),
    sasl('Request SaslAuthenticate(key: 36, version: 1) timed out'),
    cut,
    Object.assign(new Error(`Connection error: ${cut.message}`), {
      name: 'KafkaJSConnectionError',
    }),
    Object.assign(new Error('Connection timeout'), { name: 'KafkaJSConnectionError' }),
    new Error('retries exceeded', { cause: cut }),
  ]) {
    const { code, retryable } = fromKafka(error, 'appending')
    expect([code, retryable], error.message).toEqual(['BUS_UNAVAILABLE', true])
  }
})

test('our own errors pass unchanged, a chain that bites its tail ends', () => {
  const ours = new PipelineError('OFFSET_GONE', 'gone')
  expect(fromKafka(ours, 'fetching')).toBe(ours)
  const tail: { cause?: unknown } = new Error('a')
  tail.cause = tail
  expect(fromKafka(tail, 'asking').code).toBe('BUS_UNAVAILABLE')
})
