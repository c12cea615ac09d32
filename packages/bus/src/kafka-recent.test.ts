import { zstdCompressSync } from 'node:zlib'
import { MemoryPool, pieceBytesMin } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { encodeBatch, encodeRecords, writtenCodec } from './kafka-batches.ts'
import { RecentBatches, type WrittenBatch } from './kafka-recent.ts'
import { type StoredBatch, splitBatches } from './kafka-records.ts'

const logTimeMs = 5_000

/** A batch of one record as it is sent, and as a broker stores it at an offset. */
function batchOf(text: string, first = 0): { sent: WrittenBatch; stored: StoredBatch } {
  const memory = Buffer.alloc(text.length + 100)
  const plain = memory.subarray(0, encodeRecords([{ value: Buffer.from(text) }], memory))
  const stored = zstdCompressSync(plain)
  const { head } = encodeBatch(stored, writtenCodec.zstd, 1, 1_000)
  head.writeBigInt64BE(BigInt(first), 0)
  head.writeInt16BE(writtenCodec.zstd | 8, 21)
  head.writeBigInt64BE(BigInt(logTimeMs), 35)
  const [batch] = splitBatches(Buffer.concat([head, stored]))
  return { sent: { codec: writtenCodec.zstd, stored, plain }, stored: batch as StoredBatch }
}

const inflates = (batch: StoredBatch): StoredBatch => {
  const bytes = Buffer.from(batch.bytes)
  // Inflating it fails: who gets records has them from somewhere else.
  bytes.fill(0xa5, 70)
  return { ...batch, bytes }
}
const recent = (bytesMax = 1e6): RecentBatches =>
  new RecentBatches({ recentBytesMax: 1e6, cacheBatchesMax: 100, writtenBytesMax: bytesMax })
const texts = async (
  decoding: Promise<{ readonly records: readonly { readonly value: Uint8Array }[] }>,
): Promise<string[]> => (await decoding).records.map(({ value }) => Buffer.from(value).toString())

/** Nothing is kept before somebody reads. */
async function read(batches: RecentBatches): Promise<void> {
  await batches.decode(99, batchOf('first').stored)
}

test('what was sent from here is read with the offset and the time of the log', async () => {
  const batches = recent()
  await read(batches)
  const { sent, stored } = batchOf('mine', 70)
  batches.sends(1, { ...sent, plain: Buffer.from(sent.plain) })
  const [record] = (await batches.decode(1, stored)).records
  expect([record?.offset, record?.appendedAtMs, String(record?.value)]).toEqual([
    70,
    logTimeMs,
    'mine',
  ])
  expect(batches.writtenBytes).toBe(0)
})

test('the log decides: other bytes at the same place are read as they are', async () => {
  const batches = recent()
  await read(batches)
  const { sent } = batchOf('mine')
  const { sent: theirs, stored } = batchOf('them')
  const disguised = Buffer.from(sent.stored)
  theirs.stored.copy(disguised, disguised.length - 4, theirs.stored.length - 4)
  batches.sends(0, { ...sent, stored: disguised })
  batches.sends(1, sent)
  expect(await texts(batches.decode(0, stored))).toEqual(['them'])
})

test('readers at the same moment, and later ones, share one set of records', async () => {
  const batches = recent()
  const { stored } = batchOf('shared')
  const [a, b] = await Promise.all([batches.decode(0, stored), batches.decode(0, stored)])
  expect(a).toBe(b)
  expect(await batches.decode(0, stored)).toBe(a)
})

test('a topic made anew has other batches at the same offsets', async () => {
  const batches = recent()
  expect(await texts(batches.decode(0, batchOf('before').stored))).toEqual(['before'])
  expect(await texts(batches.decode(0, batchOf('after').stored))).toEqual(['after'])
  expect(await texts(batches.decode(0, batchOf('after').stored))).toEqual(['after'])
})

test('a batch that does not inflate fails every time, and nothing of it is kept', async () => {
  const batches = recent()
  const bad = inflates(batchOf('x'.repeat(1_000)).stored)
  for (let round = 0; round < 2; round++) {
    await expect(batches.decode(0, bad)).rejects.toMatchObject({ code: 'DATA_CORRUPT' })
  }
})

test('what is sent is kept up to the limit, the oldest given up first; nothing where nobody reads', async () => {
  const { sent } = batchOf('a')
  const bytes = sent.stored.length + sent.plain.length
  const batches = recent(2 * bytes)
  batches.sends(0, sent)
  expect(batches.writtenBytes).toBe(0)
  await read(batches)
  batches.sends(0, sent)
  batches.sends(1, sent)
  expect(batches.writtenBytes).toBe(2 * bytes)
  batches.sends(2, sent)
  expect(batches.writtenBytes).toBe(2 * bytes)
  await batches.decode(0, batchOf('a').stored)
  expect(batches.writtenBytes).toBe(2 * bytes)
  await batches.decode(2, batchOf('a').stored)
  expect(batches.writtenBytes).toBe(bytes)
})

test('memory goes back once every reader and the cache have let it go', async () => {
  const pool = new MemoryPool(1e6)
  const { sent, stored } = batchOf('pooled')
  const memory = { stored: pool.take(1), plain: pool.take(1) }
  const batches = new RecentBatches({
    recentBytesMax: 140,
    cacheBatchesMax: 1,
    writtenBytesMax: 1e6,
  })
  await read(batches)
  batches.sends(0, { ...sent, memory })
  // Its producer has its answer.
  memory.stored.release()
  memory.plain.release()
  const [a, b] = await Promise.all([batches.decode(0, stored), batches.decode(0, stored)])
  expect(a?.memory).toBe(memory.plain)
  expect(pool.idleBytes).toBe(pieceBytesMin)
  await batches.decode(1, batchOf('another').stored)
  a?.memory?.release()
  expect(pool.idleBytes).toBe(pieceBytesMin)
  b?.memory?.release()
  expect(pool.idleBytes).toBe(2 * pieceBytesMin)
})

test('what is given up unread lets its memory go', async () => {
  const pool = new MemoryPool(1e6)
  const { sent } = batchOf('a')
  const memory = { stored: pool.take(1), plain: pool.take(1) }
  const batches = recent(1)
  await read(batches)
  batches.sends(0, { ...sent, memory })
  memory.stored.release()
  memory.plain.release()
  expect(pool.idleBytes).toBe(2 * pieceBytesMin)
})

test('a batch in pieces of a pool counts as much as they do', async () => {
  const pool = new MemoryPool(1e6)
  const { sent } = batchOf('a')
  const batches = recent(4 * pieceBytesMin)
  await read(batches)
  for (let partition = 0; partition < 3; partition++) {
    const memory = { stored: pool.take(1), plain: pool.take(1) }
    batches.sends(partition, { ...sent, memory })
    memory.stored.release()
    memory.plain.release()
    expect(batches.writtenBytes).toBe(2 * pieceBytesMin * Math.min(partition + 1, 2))
  }
  expect(pool.idleBytes).toBe(2 * pieceBytesMin)
})
