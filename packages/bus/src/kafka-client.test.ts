import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import process from 'node:process'
import vm from 'node:vm'
import { expect, test } from 'vitest'
import { kafkaClients, kafkajsVersion, privateCluster } from './kafka-client.ts'
import { Kafka } from './kafka-js.ts'
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

test('a release without them is refused by name, with the one to install', () => {
  const other = new Kafka({ brokers: options.brokers })
  const keys = Object.getOwnPropertySymbols(other)
  for (const key of keys)
    if (key.description?.includes('createCluster')) Reflect.deleteProperty(other, key)
  expect(() => privateCluster(other)).toThrow(/CONFIG_INVALID.*kafkajs@2\.2\.4/)
})

test('the negative timeout of kafkajs warns nobody, any other one still does', async () => {
  kafkaClients(options, defaultKafkaLimits)
  const seen: unknown[] = []
  const printers = process.listeners('warning')
  process.removeAllListeners('warning')
  process.on('warning', warning => seen.push(warning.message))
  const emit = (filename: string, message: string): void => {
    const run = vm.runInThisContext('(warn, message, name) => warn(message, name)', { filename })
    run(process.emitWarning, message, 'TimeoutNegativeWarning')
  }
  emit('/app/node_modules/kafkajs/src/network/requestQueue/index.js', 'of kafkajs')
  emit('/app/other.js', 'of another')
  await new Promise(resolve => setTimeout(resolve, 0))
  process.removeAllListeners('warning')
  for (const printer of printers) process.on('warning', printer)
  expect(seen).toEqual(['of another'])
})
