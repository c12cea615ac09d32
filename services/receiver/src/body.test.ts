import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Admission } from './admission.ts'
import { BodyBuilder, readBody } from './body.ts'
import { BodyPool } from './body-pool.ts'

function setUp(bytesMax: number, inflightBytesMax = 1_000_000) {
  const pool = new BodyPool(1_000_000)
  const admission = new Admission(
    { inflightBytesMax, inflightBytesPerTenantMax: inflightBytesMax },
    () => 0,
  )
  const ticket = admission.open('a', 0)
  const builder = new BodyBuilder(pool, ticket, { bytesMax, limitName: 'requestBytesMax' }, 10)
  return { pool, admission, ticket, builder }
}

test('a body grows as it comes and keeps every byte', async () => {
  const { builder, admission, ticket, pool } = setUp(100_000)
  const stream = new PassThrough()
  const reading = readBody(stream, builder, 1000)
  const chunks = Array.from({ length: 100 }, (_, n) => Buffer.alloc(1000, n))
  for (const chunk of chunks) stream.write(chunk)
  stream.end()
  const body = await reading
  expect(body?.bytes.equals(Buffer.concat(chunks))).toBe(true)
  expect(admission.bytesInFlight).toBe(100_000)
  body?.release()
  ticket.release()
  expect(pool.keptBytes).toBeGreaterThan(100_000)
})

test('a length that was announced is given no memory before it begins to come', async () => {
  const { admission } = setUp(100_000)
  const taken: number[] = []
  const pool = new BodyPool(0)
  const take = pool.take.bind(pool)
  pool.take = bytesMin => {
    taken.push(bytesMin)
    return take(bytesMin)
  }
  const limits = { bytesMax: 10_000_000, limitName: 'requestBytesMax' }
  const ticket = admission.open('a', 0)
  const builder = new BodyBuilder(pool, ticket, limits, 3_000_000)
  expect(taken).toEqual([])
  builder.add(Buffer.alloc(1))
  expect(taken).toEqual([64 * 1024])
  builder.add(Buffer.alloc(64 * 1024))
  expect(taken).toEqual([64 * 1024, 3_000_000])
  expect(builder.finish().bytes).toHaveLength(64 * 1024 + 1)
})

test('one byte past the limit is too large, whatever length was announced', async () => {
  const { builder } = setUp(100)
  const stream = new PassThrough()
  const reading = readBody(stream, builder, 1000)
  stream.write(Buffer.alloc(100))
  stream.write(Buffer.alloc(1))
  await expect(reading).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
})

test('a body over the bytes in flight is refused in its middle', async () => {
  const { builder } = setUp(1000, 500)
  const stream = new PassThrough()
  const reading = readBody(stream, builder, 1000)
  stream.write(Buffer.alloc(500))
  stream.write(Buffer.alloc(1))
  await expect(reading).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' })
})

test('a body that does not end within bodyWaitMax is refused, to come again', async () => {
  const { builder, pool } = setUp(1000)
  const stream = new PassThrough()
  stream.write('x')
  await expect(readBody(stream, builder, 5)).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
    message: expect.stringContaining('bodyWaitMax'),
  })
  expect(pool.keptBytes).toBeGreaterThan(0)
})

test('a client that goes away leaves nothing behind', async () => {
  const { builder, pool } = setUp(1000)
  const stream = new PassThrough()
  const reading = readBody(stream, builder, 1000)
  stream.write('x')
  stream.destroy(new Error('reset'))
  expect(await reading).toBeUndefined()
  await sleep(1)
  expect(pool.keptBytes).toBeGreaterThan(0)
})

test('pooled memory is used again, and kept up to its limit', () => {
  const pool = new BodyPool(64 * 1024)
  const first = pool.take(20_000)
  expect(first).toHaveLength(32 * 1024)
  pool.give(first)
  expect(pool.take(30_000)).toBe(first)
  const large = pool.take(64 * 1024)
  pool.give(large)
  pool.give(first)
  expect(pool.keptBytes).toBe(64 * 1024)
})
