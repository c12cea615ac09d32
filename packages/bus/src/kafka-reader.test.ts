import { getEventListeners } from 'node:events'
import { systemClock } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { encodeBatch, encodeRecords, writtenCodec } from './kafka-batches.ts'
import { defaultKafkaLimits } from './kafka-options.ts'
import { KafkaReader } from './kafka-reader.ts'

const records = Array.from({ length: 4 }, (_, n) => ({ value: Buffer.alloc(1_000, n) }))

/** One partition with one batch, and how often it was fetched. What a real broker does is tested with one. */
function fetched() {
  const into = Buffer.alloc(8_000)
  const plain = into.subarray(0, encodeRecords(records, into))
  const { head, records: body } = encodeBatch(plain, writtenCodec.none, records.length, 0)
  let fetches = 0
  const connection = { isConnected: () => true }
  const send = async () => {
    fetches++
    const found = { partition: 0, errorCode: 0, end: 4, records: Buffer.concat([head, body]) }
    return [found]
  }
  const cluster = {
    connect: async () => {},
    disconnect: async () => {},
    addTargetTopic: async () => {},
    findTopicPartitionMetadata: () => [{ partitionId: 0, leader: 1 }],
    findBroker: async () => ({ connectionPool: { pool: [connection, connection], send } }),
  }
  const clients = { cluster: () => cluster } as unknown as ConstructorParameters<
    typeof KafkaReader
  >[0]
  const reader = new KafkaReader(clients, 't', defaultKafkaLimits, systemClock)
  onTestFinished(() => reader.close())
  return { reader, fetches: () => fetches }
}

test('what a read left over is there for the next one, until its lease has ended', async () => {
  const { reader, fetches } = fetched()
  const lost = new AbortController()
  const readAt = async (offset: number) => {
    const { records: read, held = [] } = await reader.read(0, offset, 1_000, 100, lost.signal)
    for (const memory of held) memory.release()
    expect(read[0]?.offset).toBe(offset)
  }
  await readAt(0)
  await readAt(1)
  expect(fetches()).toBe(1)
  lost.abort()
  await readAt(2)
  expect(fetches()).toBe(2)
  // Nor is anything held of what was read after.
  await readAt(3)
  expect(fetches()).toBe(3)
})

test('groups that read a partition in turns leave nothing behind with each read', async () => {
  const { reader } = fetched()
  const leases = [new AbortController(), new AbortController()]
  for (let round = 0; round < 20; round++) {
    for (const { signal } of leases) {
      const { held = [] } = await reader.read(0, 0, 1_000, 100, signal)
      for (const memory of held) memory.release()
    }
  }
  for (const { signal } of leases) expect(getEventListeners(signal, 'abort')).toHaveLength(1)
})
