import { randomBytes } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { compressFrame, inflateFrame, isWholeFrame } from './kafka-zstd.ts'

const mib = 1024 * 1024
const text = (bytes: number): Buffer =>
  Buffer.from(Array.from({ length: bytes / 4 }, (_, at) => at % 7919).join()).subarray(0, bytes)
const samples = [Buffer.from('a'), text(1000), text(300_000), text(3 * mib), randomBytes(2 * mib)]

test('what was compressed comes back, here and by anybody else, many at once', async () => {
  await Promise.all(
    Array.from({ length: 40 }, async (_, at) => {
      const plain = samples[at % samples.length] as Buffer
      const frame = await compressFrame(plain)
      expect(isWholeFrame(frame)).toBe(true)
      expect(Buffer.compare(zstdDecompressSync(frame), plain)).toBe(0)
      expect(Buffer.compare(await inflateFrame(frame, 4 * mib), plain)).toBe(0)
    }),
  )
})

test('frames of other writers are told whole: with size, checksum or neither', async () => {
  for (const plain of samples) {
    for (const params of [{}, { 201: 1 }, { 200: 0, 201: 1 }]) {
      for (const pledged of [{}, { pledgedSrcSize: plain.length }]) {
        const frame = zstdCompressSync(plain, { params, ...pledged })
        expect(isWholeFrame(frame)).toBe(true)
        expect(Buffer.compare(await inflateFrame(frame, 4 * mib), plain)).toBe(0)
      }
    }
  }
})

test('a frame that is cut off anywhere, or followed by anything, is not whole', async () => {
  const frame = await compressFrame(text(1000))
  for (let length = 0; length < frame.length; length++) {
    expect(isWholeFrame(frame.subarray(0, length))).toBe(false)
  }
  expect(isWholeFrame(Buffer.concat([frame, Buffer.from('x')]))).toBe(false)
  expect(isWholeFrame(Buffer.concat([frame, frame]))).toBe(false)
  expect(isWholeFrame(Buffer.from('no frame at all'))).toBe(false)
})

test('a damaged frame fails alone: those before, beside and after it come back', async () => {
  const plain = text(100_000)
  const frame = await compressFrame(plain)
  for (let round = 0; round < 20; round++) {
    const bad = Buffer.from(frame)
    bad.fill(0xa5, 20 + round * 10, 200 + round * 10)
    const [good, failed] = await Promise.allSettled([
      inflateFrame(frame, mib),
      inflateFrame(bad, mib).then(out => {
        if (Buffer.compare(out, plain) !== 0) throw new Error('other bytes')
      }),
    ])
    expect(failed.status).toBe('rejected')
    expect(good.status === 'fulfilled' && Buffer.compare(good.value, plain)).toBe(0)
  }
  expect(Buffer.compare(await inflateFrame(frame, mib), plain)).toBe(0)
})

test('a frame inflates to its limit and not to a byte more', async () => {
  const frame = await compressFrame(Buffer.alloc(5 * mib))
  expect((await inflateFrame(frame, 5 * mib)).length).toBe(5 * mib)
  await expect(inflateFrame(frame, 5 * mib - 1)).rejects.toMatchObject({ code: 'DATA_CORRUPT' })
})
