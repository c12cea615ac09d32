import { gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { decodeBatch, type StoredBatch, splitBatches } from './kafka-records.ts'
import { WireWriter } from './kafka-wire.ts'

interface Fields {
  readonly offsetDelta: number
  readonly key?: string
  readonly value: string | null
  readonly headers?: Readonly<Record<string, string>>
}

const logAppendTime = 8
const control = 0x20

test('records come back with offset, key, header and the time of the log', async () => {
  const [batch] = splitBatches(
    stored(70, [
      { offsetDelta: 0, key: 'k', value: 'a', headers: { other: 'x', winnow: 'h' } },
      { offsetDelta: 3, value: 'b' },
    ]),
  )
  const [a, b] = await decodeBatch(batch as StoredBatch)
  expect([batch?.first, batch?.last]).toEqual([70, 73])
  expect([a?.offset, b?.offset]).toEqual([70, 73])
  expect([a?.key?.toString(), a?.header?.toString(), a?.value.toString()]).toEqual(['k', 'h', 'a'])
  expect(b).not.toHaveProperty('key')
  expect(b).not.toHaveProperty('header')
  expect([a?.appendedAtMs, b?.appendedAtMs]).toEqual([2000, 2000])
})

test('zstd and gzip batches read alike, small ones and ones that go to the thread pool', async () => {
  for (const size of [10, 200_000]) {
    const value = Array.from({ length: size }, (_, at) => at % 7919).join()
    for (const [kind, compress] of [
      [1, gzipSync],
      [4, zstdCompressSync],
    ] as const) {
      const [batch] = splitBatches(stored(0, [{ offsetDelta: 0, value }], kind, compress))
      const [record] = await decodeBatch(batch as StoredBatch)
      expect(record?.value.toString() === value, `codec ${kind}, ${size}`).toBe(true)
    }
  }
})

test('no record keeps the answer that it came in', async () => {
  const answer = stored(0, [{ offsetDelta: 0, value: 'a'.repeat(10_000) }])
  const [batch] = splitBatches(answer)
  const [record] = await decodeBatch(batch as StoredBatch)
  expect(record?.value.buffer).not.toBe(answer.buffer)
})

test('a codec that is not read is named, with those that are', async () => {
  const [batch] = splitBatches(stored(0, [{ offsetDelta: 0, value: 'a' }], 5))
  await expect(decodeBatch(batch as StoredBatch)).rejects.toThrow(/codec 5; write with zstd/)
})

test('the header is that of the name that was asked for', async () => {
  const headers = { winnow: 'h', 'x-tenant': 'acme' }
  const [batch] = splitBatches(stored(0, [{ offsetDelta: 0, value: 'a', headers }]))
  const [record] = await decodeBatch(batch as StoredBatch, 'x-tenant')
  expect(record?.header?.toString()).toBe('acme')
})

test('a batch that the answer cut off is left for the next one', () => {
  const whole = stored(0, [{ offsetDelta: 0, value: 'a' }])
  const next = stored(1, [{ offsetDelta: 0, value: 'b' }])
  for (let cut = 0; cut < next.length; cut++) {
    const batches = splitBatches(Buffer.concat([whole, next.subarray(0, cut)]))
    expect(batches.map(batch => batch.first)).toEqual([0])
  }
  expect(splitBatches(Buffer.concat([whole, next])).map(batch => batch.first)).toEqual([0, 1])
})

test('a transaction marker has no records, a deleted value reads as empty', async () => {
  const [marker] = splitBatches(stored(0, [{ offsetDelta: 0, value: 'm' }], control))
  expect(await decodeBatch(marker as StoredBatch)).toEqual([])
  const [deleted] = splitBatches(stored(0, [{ offsetDelta: 0, key: 'k', value: null }]))
  expect((await decodeBatch(deleted as StoredBatch))[0]?.value.length).toBe(0)
})

test('bytes that are no batch are DATA_CORRUPT, never a RangeError', async () => {
  const old = stored(0, [{ offsetDelta: 0, value: 'a' }])
  old.writeInt8(1, 16)
  expect(() => splitBatches(old)).toThrow(/DATA_CORRUPT.*format 1/)
  const zstd = stored(0, [{ offsetDelta: 0, value: 'a' }], 4, () => Buffer.from('not zstd'))
  const corrupt = { code: 'DATA_CORRUPT' }
  await expect(decodeBatch(splitBatches(zstd)[0] as StoredBatch)).rejects.toMatchObject(corrupt)
  const good = stored(0, [{ offsetDelta: 0, key: 'key', value: 'value' }])
  let refused = 0
  for (let at = 0; at < good.length; at++) {
    for (const byte of [-1, 0x7f, 0, -128]) {
      const bad = Buffer.from(good)
      bad.writeInt8(byte, at)
      try {
        for (const batch of splitBatches(bad)) await decodeBatch(batch)
      } catch (error) {
        expect(error).toMatchObject(corrupt)
        refused++
      }
    }
  }
  expect(refused).toBeGreaterThan(0)
})

/** A record batch as Kafka stores it, but for the checksum, which the broker has checked. */
function stored(
  first: number,
  fields: readonly Fields[],
  attributes = 0,
  compress: (bytes: Buffer) => Buffer = bytes => bytes,
): Buffer {
  const records = compress(Buffer.concat(fields.map(encodeRecord)))
  const batch = new WireWriter()
    .int64(first)
    .int32(49 + records.length)
    .int32(0)
    .int8(2)
    .int32(0)
    .int16(attributes | logAppendTime)
    .int32(fields.at(-1)?.offsetDelta ?? 0)
    .int64(1000)
    .int64(2000)
    .int64(-1)
    .int16(-1)
    .int32(-1)
    .int32(fields.length)
    .raw(records)
  return Buffer.from(batch.bytes())
}

function encodeRecord(fields: Fields): Buffer {
  const headers = Object.entries(fields.headers ?? {})
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(5),
    varint(fields.offsetDelta),
    text(fields.key ?? null),
    text(fields.value),
    varint(headers.length),
    ...headers.flatMap(([name, value]) => [text(name), text(value)]),
  ])
  return Buffer.concat([varint(body.length), body])
}

function text(value: string | null): Buffer {
  if (value === null) return varint(-1)
  return Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}
