// Canaries on the servers of a platform team: in no topic, no key of Redis, no index, no object.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { expect, test, vi } from 'vitest'
import { Canaries, marker, readings, seenIn } from '../support/canaries.ts'
import { keyOf } from '../support/pipeline-harness.ts'
import { sendPlanted } from '../support/send-planted.ts'
import { stackForTest, twoOfEach } from './stack-system.ts'

test('200 canaries are in no topic, no key of Redis, no index and no object, and no log has them', {
  timeout: 400_000,
}, async ({ skip }) => {
  const stack = await stackForTest(skip)
  // Tests that compare bytes with what was sent run without.
  const system = await twoOfEach(stack, { WINNOW_PRIVACY_REDACT: 'true' })
  const canaries = new Canaries(2_000)
  const answers = await sendPlanted(system.entrances, canaries, keyOf('acme'))
  expect(canaries.planted.length).toBeGreaterThanOrEqual(200)
  const seen = seenIn('an answer', Buffer.from(answers), canaries.planted)
  let buffered = false
  const stored = async (): Promise<string> => {
    const inRedis = await redisBytes(stack.redis.url)
    buffered ||= inRedis.includes(marker)
    seen.push(...seenIn('Redis', inRedis, canaries.planted))
    const search = await fetch(`${stack.opensearch.url}/*/_search?size=5000`)
    const text = await search.text()
    expect(text).toContain(marker)
    expect(buffered, 'Redis').toBe(true)
    return text
  }
  const index = await vi.waitFor(stored, { timeout: 120_000, interval: 200 })
  seen.push(...seenIn('OpenSearch', Buffer.from(index), canaries.planted))
  const blobs = await system.openBlobs()
  const objects = async (): Promise<Buffer> => {
    const parts: Buffer[] = []
    for await (const { key } of blobs.list('')) {
      parts.push(...readings(Buffer.from((await blobs.read(key)) ?? [])))
    }
    const all = Buffer.concat(parts)
    expect(all.includes('canary-shop'), 'S3').toBe(true)
    return all
  }
  const inObjects = await vi.waitFor(objects, { timeout: 120_000, interval: 1_000 })
  seen.push(...seenIn('S3', inObjects, canaries.planted))
  await blobs.close()
  for (const name of system.names) {
    const log = Buffer.from(system.running(name).stderr())
    seen.push(...seenIn(`the log of ${name}`, log, canaries.planted))
  }
  await system.stop()
  const bus = await system.openBus()
  let spans = 0
  for (const { name, partitions } of Object.values(system.specs)) {
    for (let partition = 0; partition < partitions; partition++) {
      const { records } = await bus.read(name, partition, 0, 1 << 26, 1_000)
      for (const { value } of records) {
        if (Buffer.from(value).includes(marker)) spans++
        seen.push(...seenIn(name, Buffer.from(value), canaries.planted))
      }
    }
  }
  await bus.close()
  expect(spans).toBeGreaterThan(0)
  for (const one of readdirSync(system.data, { recursive: true, withFileTypes: true })) {
    if (!one.isFile()) continue
    const path = join(one.parentPath, one.name)
    seen.push(...seenIn(path.slice(system.data.length), readFileSync(path), canaries.planted))
  }
  expect([...new Set(seen)]).toEqual([])
})

/** Every key with what it holds. */
async function redisBytes(url: string): Promise<Buffer> {
  const redis = new Redis(url)
  try {
    const parts: Buffer[] = []
    for (const key of await redis.keys('*')) {
      parts.push(Buffer.from(key))
      const value = await redis.getBuffer(key).catch(() => null)
      if (value !== null) parts.push(value)
    }
    return Buffer.concat(parts)
  } finally {
    redis.disconnect()
  }
}
