import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { Admission } from './admission.ts'
import { type Body, BodyBuilder } from './body.ts'
import { BodyPool } from './body-pool.ts'
import { type ContentEncoding, contentEncodingOf, inflate } from './inflate.ts'

const text = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * n * 7919) % 251))
const compressed = {
  gzip: gzipSync(text),
  zstd: zstdCompressSync(text),
  deflate: deflateSync(text),
} as const
const encodings = ['gzip', 'zstd', 'deflate'] as const

function setUp(bytesMax: number, inflightBytesMax = 10_000_000) {
  const pool = new BodyPool(10_000_000)
  const limits = { bytesMax, limitName: 'requestBytesMax' }
  const admission = new Admission(
    { inflightBytesMax, inflightBytesPerTenantMax: inflightBytesMax },
    () => 0,
  )
  const ticket = admission.open('a', 0)
  const bodyOf = (bytes: Uint8Array): Body => {
    const builder = new BodyBuilder(
      pool,
      admission.open('a', 0),
      { bytesMax: 10_000_000, limitName: 'x' },
      bytes.length,
    )
    builder.add(bytes)
    return builder.finish()
  }
  return {
    pool,
    admission,
    run: (bytes: Uint8Array, encoding: ContentEncoding) =>
      inflate(bodyOf(bytes), encoding, { pool, ticket, limits }),
  }
}

test.each(encodings)('%s gives back what went in, at the limit', async encoding => {
  const { run, pool } = setUp(text.length)
  const body = await run(compressed[encoding], encoding)
  expect(body.bytes.equals(text)).toBe(true)
  body.release()
  expect(pool.keptBytes).toBeGreaterThan(text.length)
})

test.each(encodings)('%s one byte past the limit is too large', async encoding => {
  const { run } = setUp(text.length - 1)
  await expect(run(compressed[encoding], encoding)).rejects.toMatchObject({
    code: 'PAYLOAD_TOO_LARGE',
    message: expect.stringContaining('requestBytesMax'),
  })
})

test.each(encodings)(
  '%s of a bomb is refused after the limit, not after it has exploded',
  async encoding => {
    const zeros = Buffer.alloc(64 * 1024 * 1024)
    const bomb = { gzip: gzipSync, zstd: zstdCompressSync, deflate: deflateSync }[encoding](zeros)
    const { run, admission } = setUp(1_000_000)
    await expect(run(bomb, encoding)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
    expect(admission.bytesInFlight).toBeLessThan(1_000_000 + bomb.length)
  },
)

test.each(encodings)(
  '%s that is cut, followed by more, empty or none at all is invalid',
  async encoding => {
    const { run } = setUp(1_000_000)
    const whole = compressed[encoding]
    const bad = [
      whole.subarray(0, -1),
      whole.subarray(0, whole.length >> 1),
      Buffer.concat([whole, Buffer.from('garbage')]),
      Buffer.alloc(0),
      Buffer.from('plain text'),
    ]
    for (const bytes of bad) {
      await expect(run(bytes, encoding)).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' })
    }
  },
)

test('two zstd frames are refused: the second one would be lost', async () => {
  const two = Buffer.concat([compressed.zstd, compressed.zstd])
  await expect(setUp(1_000_000).run(two, 'zstd')).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' })
})

test('two gzip members are one body', async () => {
  const two = Buffer.concat([compressed.gzip, compressed.gzip])
  const { bytes } = await setUp(1_000_000).run(two, 'gzip')
  expect(bytes.equals(Buffer.concat([text, text]))).toBe(true)
})

test('what comes out counts as bytes in flight', async () => {
  const { run } = setUp(1_000_000, text.length - 1)
  await expect(run(compressed.gzip, 'gzip')).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' })
})

test('encodings are compared without case; an unknown one has no name', () => {
  expect(contentEncodingOf(undefined)).toBe('identity')
  expect(contentEncodingOf('identity')).toBe('identity')
  expect(contentEncodingOf(' GZIP ')).toBe('gzip')
  expect(contentEncodingOf('x-gzip')).toBe('gzip')
  expect(contentEncodingOf('br')).toBeUndefined()
  expect(contentEncodingOf('gzip, gzip')).toBeUndefined()
})
