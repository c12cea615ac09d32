import { expect, test } from 'vitest'
import { checkKafkaOptions, type KafkaBusOptions, tailBytesMin } from './kafka-options.ts'

const spec = { name: 't', partitions: 1, retentionMs: 1, keyed: false }
const good: KafkaBusOptions = {
  brokers: ['a.example:9092', '127.0.0.1:1'],
  specs: [spec],
  clientId: 'c',
}

test('good options pass, with every limit filled in', () => {
  expect(checkKafkaOptions(good)).toMatchObject({ sessionMs: 10_000, heartbeatMs: 1_000 })
  expect(checkKafkaOptions({ ...good, limits: { sessionMs: 6_000 } }).sessionMs).toBe(6_000)
})

test('all mistakes are named at once, each with its value', () => {
  const bad: KafkaBusOptions = {
    ...good,
    brokers: ['nowhere', 'host:70000', '[::1]:9092'],
    specs: [],
    replication: 0,
    // @ts-expect-error: what a configuration file may hold.
    sasl: { mechanism: 'gssapi', username: '', password: 'p' },
    limits: { heartbeatMs: 4_000, messageBytesMax: 100 },
  }
  expect(() => checkKafkaOptions(bad)).toThrow(/CONFIG_INVALID/)
  for (const part of [
    '`bus`: nowhere',
    '`bus`: host:70000',
    '`bus`: [::1]:9092 is not HOST:PORT; give a name for an address of IPv6',
    '`specs`',
    '`topics.replication`: 0',
    '`kafka.saslMechanism`: gssapi',
    '`kafka.saslUsername`',
    '`heartbeatMs` 4000',
    '`producerBatchBytesMax`',
  ]) {
    expect(() => checkKafkaOptions(bad)).toThrow(part)
  }
})

test('a heartbeat of a third of the session is allowed, a millisecond more is not', () => {
  const limits = { sessionMs: 9_000, heartbeatMs: 3_000 }
  expect(checkKafkaOptions({ ...good, limits }).heartbeatMs).toBe(3_000)
  const over = { ...limits, heartbeatMs: 3_001 }
  expect(() => checkKafkaOptions({ ...good, limits: over })).toThrow(/`heartbeatMs` 3001/)
})

test('no broker at all is a mistake', () => {
  expect(() => checkKafkaOptions({ ...good, brokers: [] })).toThrow(/`bus` names no broker/)
})

test('the smallest tail is allowed; a block less, or half a block more, is not', () => {
  const tails = (bytes: number) => () => checkKafkaOptions({ ...good, tails: { t: bytes } })
  expect(tails(tailBytesMin)).not.toThrow()
  expect(tails(tailBytesMin - 512)).toThrow(/`tails`: 16776704 bytes of t/)
  expect(tails(tailBytesMin + 256)).toThrow(/`tails`/)
})
