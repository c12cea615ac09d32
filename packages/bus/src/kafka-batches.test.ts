import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import type { NewRecord } from './bus.ts'
import { encodeBatch, encodeRecords, recordBytesMax, writtenCodec } from './kafka-batches.ts'
import { decodeBatch, type StoredBatch, splitBatches } from './kafka-records.ts'
import { produceRequest } from './kafka-requests.ts'

const nowMs = 1_700_000_000_000

function encoded(records: readonly NewRecord[]): Buffer {
  const memory = Buffer.alloc(records.reduce((sum, record) => sum + recordBytesMax(record), 0))
  return memory.subarray(0, encodeRecords(records, memory))
}

function batchOf(records: readonly NewRecord[]): Buffer {
  const { head, records: stored } = encodeBatch(
    encoded(records),
    writtenCodec.none,
    records.length,
    nowMs,
  )
  return Buffer.concat([head, stored])
}

test('a batch is these bytes', () => {
  const records = [
    { key: Buffer.from('k'), header: Buffer.from('hh'), value: Buffer.from('value') },
    { value: Buffer.alloc(0) },
  ]
  expect(batchOf(records).toString('hex')).toBe(
    '00000000000000000000004fffffffff02a5bf7e10' +
      '0000000000010000018bcfe568000000018bcfe56800ffffffffffffffffffffffffffff00000002' +
      '2c000000026b0a76616c7565020c77696e6e6f770468680c000002010000',
  )
})

test('kafkajs reads it too, checksum and all', async () => {
  const load = createRequire(import.meta.url)
  const crc32 = load('kafkajs/src/protocol/recordBatch/crc32C')
  const Decoder = load('kafkajs/src/protocol/decoder')
  const decode = load('kafkajs/src/protocol/recordBatch/v0/decoder')
  const batch = batchOf([
    { key: Buffer.from('k'), header: Buffer.from('hh'), value: Buffer.from('value') },
    { value: Buffer.alloc(300, 'x') },
  ])
  expect(batch.readUInt32BE(17)).toBe(crc32(batch.subarray(21)))
  const { records } = await decode(new Decoder(batch))
  expect(records).toMatchObject([
    { offset: '0', timestamp: `${nowMs}`, key: Buffer.from('k'), value: Buffer.from('value') },
    { offset: '1', timestamp: `${nowMs}`, key: null, value: Buffer.alloc(300, 'x') },
  ])
  expect(records[0].headers).toEqual({ winnow: Buffer.from('hh') })
})

test('records of every shape come back, their lengths on both sides of a varint’s steps', async () => {
  const lengths = [0, 1, 63, 64, 65, 8191, 8192, 8193, 1_048_576]
  const bytes = (length: number): Buffer => Buffer.alloc(length, `${length} `)
  const records: NewRecord[] = lengths.flatMap(length => [
    { value: bytes(length) },
    { value: bytes(1), key: bytes(length) },
    { value: bytes(2), header: bytes(length) },
  ])
  for (let count = 0; count < 100; count++) records.push({ value: bytes(count) })
  const [batch] = splitBatches(batchOf(records))
  const read = await decodeBatch(batch as StoredBatch)
  expect(read.length).toBe(records.length)
  for (const [at, record] of read.entries()) {
    const { value, key, header } = records[at] as NewRecord
    expect(record.offset).toBe(at)
    for (const [mine, theirs] of [
      [record.value, value],
      [record.key, key],
      [record.header, header],
    ] as const) {
      expect(
        mine === undefined ? undefined : Buffer.compare(mine, theirs ?? Buffer.from('?')),
      ).toBe(theirs === undefined ? undefined : 0)
    }
  }
})

test('no record takes more than was counted for it', () => {
  for (const length of [0, 63, 64, 8192, 1_048_576, 2_097_152]) {
    const bytes = Buffer.alloc(length)
    for (const record of [
      { value: bytes },
      { value: bytes, key: bytes },
      { value: bytes, key: bytes, header: bytes },
    ]) {
      // As the last of a large batch, where its number is long too.
      const before = Array.from({ length: 20_000 }, () => ({ value: Buffer.alloc(0) }))
      const all = encoded([...before, record]).length - encoded(before).length
      expect(all).toBeLessThanOrEqual(recordBytesMax(record))
    }
  }
})

test('what was encoded is a copy: the owner of the bytes may use them again', () => {
  const value = Buffer.from('mine')
  const records = encoded([{ value, key: value, header: value }])
  const before = records.toString('hex')
  value.fill('x')
  expect(records.toString('hex')).toBe(before)
})

test('a produce request names topic, partitions and sizes, and leaves the batches as they are', () => {
  const records = Buffer.from('records')
  const encodedBatch = encodeBatch(records, writtenCodec.zstd, 1, nowMs)
  const batches = [3, 4].map(partition => ({ partition, encoded: encodedBatch }))
  const { apiKey, apiVersion, pieces } = produceRequest('t', batches, 30_000)
  expect([apiKey, apiVersion]).toEqual([0, 7])
  expect(pieces[1]).toBe(records)
  const size = '00000044'
  const batch = Buffer.concat([encodedBatch.head, records]).toString('hex')
  expect(Buffer.concat(pieces).toString('hex')).toBe(
    `ffffffff0000753000000001${'0001'}74${'00000002'}00000003${size}${batch}00000004${size}${batch}`,
  )
})

test('a produce answer is read per partition', () => {
  const { decode } = produceRequest('t', [], 0)
  const answer = Buffer.from(
    `00000001${'000174'}00000002` +
      `00000003${'0000'}0000000000000007ffffffffffffffff0000000000000000` +
      `00000004${'0006'}ffffffffffffffffffffffffffffffffffffffffffffffff` +
      '00000000',
    'hex',
  )
  expect(decode(answer)).toEqual([
    { partition: 3, errorCode: 0, first: 7 },
    { partition: 4, errorCode: 6, first: -1 },
  ])
})
