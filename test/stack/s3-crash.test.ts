import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { listSegments, type S3BlobStore, segmentKey } from '@winnow/storage'
import { expect, onTestFinished, test } from 'vitest'
import { s3Client } from './s3/client.ts'
import { s3ForTest } from './s3/shared.ts'
import { openS3Store, s3Options } from './s3/store.ts'
import type { S3ServerName, TestS3 } from './s3.ts'

// What a server that is killed under puts leaves behind: of what was acknowledged everything, of the rest
// whole objects or none. S3Proxy leaves torn ones beside, under names that are no keys.

const bytesEach = 2 * 1024 ** 2
const wide = 6
const dayMs = Date.UTC(2026, 10, 21)

const keyOf = (n: number): string => segmentKey('warm', dayMs, n % 3, 'log-1', n)

/** Other bytes for every key, so that an object shows whose it is. */
function bytesOf(n: number): Uint8Array {
  const words = new Uint32Array(bytesEach / 4)
  for (let at = 0; at < words.length; at++) words[at] = Math.imul(n + 1, 0x9e3779b1) + at
  return new Uint8Array(words.buffer)
}

test.each(['s3proxy', 'versitygw'] as const)(
  '%s is killed under puts: what was acknowledged is whole, and nothing torn is a segment',
  async (server, ...rest: unknown[]) => {
    const { skip } = (rest.at(-1) ?? {}) as { skip: (note: string) => void }
    const s3 = await s3ForTest(skip, { fresh: true, server })
    const options = s3Options(s3, { attempts: 2 })
    const store = await openS3Store(s3, options)
    onTestFinished(() => store.close())
    const acknowledged = new Set<number>()
    let next = 0
    for (let round = 0; round < 2; round++) {
      const putters = Array.from({ length: wide }, async () => {
        for (;;) {
          const n = next++
          try {
            expect(await store.create(keyOf(n), bytesOf(n)), keyOf(n)).toBe(true)
            acknowledged.add(n)
          } catch (error) {
            expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' })
            return
          }
        }
      })
      await expect
        .poll(() => acknowledged.size, { timeout: 60_000 })
        .toBeGreaterThan(8 * (round + 1))
      await s3.kill9()
      await Promise.all(putters)
      await s3.restart()
    }
    const listed = await checkWhole(store)
    for (const n of acknowledged) expect(listed, keyOf(n)).toContain(n)
    await tellStrays(server, s3, options.prefix, listed.length, acknowledged.size)

    // A key whose creator heard nothing can be created, or is there whole.
    for (let n = 0; n < next; n++) {
      const created = await store.create(keyOf(n), bytesOf(n))
      expect(created, keyOf(n)).toBe(!listed.includes(n))
    }
    expect((await checkWhole(store)).length).toBe(next)
  },
)

/** The numbers of the segments there are, each read and compared. */
async function checkWhole(store: S3BlobStore): Promise<number[]> {
  const listed: number[] = []
  for await (const { key, offset, bytes } of listSegments(store, 'warm')) {
    expect(bytes, key).toBe(bytesEach)
    const read = await store.read(key)
    expect(Buffer.compare(read ?? Buffer.alloc(0), bytesOf(offset)), key).toBe(0)
    listed.push(offset)
  }
  for await (const { key } of store.list('')) expect(key).toMatch(/\.parquet$/)
  return listed
}

async function tellStrays(
  server: S3ServerName,
  s3: TestS3,
  prefix: string,
  whole: number,
  acknowledged: number,
): Promise<void> {
  const client = s3Client(s3)
  const all = await client.send(new ListObjectsV2Command({ Bucket: s3.bucket, Prefix: prefix }))
  client.destroy()
  const strays = (all.Contents ?? []).filter(({ Key }) => !Key?.endsWith('.parquet'))
  console.log(`${server}: ${acknowledged} acknowledged, ${whole} whole, ${strays.length} strays`)
  if (server === 'versitygw') expect(strays).toEqual([])
}
