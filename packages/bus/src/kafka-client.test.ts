import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { kafkaClients, kafkajsVersion, privateCluster } from './kafka-client.ts'
import { kafkaJs } from './kafka-js.ts'
import { defaultKafkaLimits } from './kafka-options.ts'

const options = { brokers: ['127.0.0.1:1'], specs: [], clientId: 'test' }

test('kafkajs is exactly the release whose private parts are used', () => {
  const path = createRequire(import.meta.url).resolve('kafkajs/package.json')
  expect(JSON.parse(readFileSync(path, 'utf8')).version).toBe(kafkajsVersion)
})

test('its private cluster has every method that is called', async () => {
  const cluster = kafkaClients(options, defaultKafkaLimits).cluster()
  for (const method of [
    'connect',
    'disconnect',
    'addTargetTopic',
    'findBroker',
    'findControllerBroker',
    'findGroupCoordinator',
    'findTopicPartitionMetadata',
    'refreshMetadata',
  ]) {
    expect(Reflect.get(cluster, method), method).toBeTypeOf('function')
  }
  await cluster.disconnect()
})

test('its connection has every part that large requests are sent by', () => {
  const Connection = createRequire(import.meta.url)('kafkajs/src/network/connection')
  const logger = { namespace: () => logger, debug() {}, error() {} }
  const connection = new Connection({ host: 'h', port: 1, logger, clientId: 'test' })
  for (const method of ['authenticate', 'connect', 'isConnected', 'nextCorrelationId']) {
    expect(connection[method], method).toBeTypeOf('function')
  }
  expect(connection.requestQueue.push).toBeTypeOf('function')
  expect([connection.clientId, connection.nextCorrelationId()]).toEqual(['test', 0])
})

test('a release without them is refused by name, with the one to install', () => {
  const other = new (kafkaJs().Kafka)({ brokers: options.brokers })
  const keys = Object.getOwnPropertySymbols(other)
  for (const key of keys)
    if (key.description?.includes('createCluster')) Reflect.deleteProperty(other, key)
  expect(() => privateCluster(other)).toThrow(/CONFIG_INVALID.*kafkajs@2\.2\.4/)
})

test('its request queue looks for waiting requests only while there are some', () => {
  kafkaClients(options, defaultKafkaLimits)
  const Queue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue')
  const queue = new Queue({ logger: { debug() {} }, requestTimeout: 1000, isConnected: () => true })
  queue.checkPendingRequests()
  expect(queue.throttleCheckTimeoutId).toBeNull()
  queue.maybeThrottle(60_000)
  queue.push({ entry: { correlationId: 1 }, expectResponse: true, sendRequest() {} })
  expect(queue.throttleCheckTimeoutId).not.toBeNull()
  queue.destroy()
})
