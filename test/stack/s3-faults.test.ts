import type { IncomingMessage } from 'node:http'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { Metrics } from '@winnow/runtime'
import type { S3BlobStore, S3Options } from '@winnow/storage'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Fault, FaultProxy } from './fault-proxy.ts'
import { s3Client } from './s3/client.ts'
import { sharedS3 } from './s3/shared.ts'
import { openS3Store, s3Options } from './s3/store.ts'
import type { TestS3 } from './s3.ts'

// What a network and an overloaded server do to requests, by a proxy in front of a real server.

const s3 = await sharedS3()

const key = 'warm/x.parquet'
const bytes = Buffer.from('0123456789'.repeat(20_000))

/** A store behind a proxy that spoils nothing yet, and the same place without it. */
async function behindProxy(options: Partial<S3Options> = {}) {
  const proxy = await FaultProxy.start((s3 as TestS3).endpoint)
  onTestFinished(() => proxy.close())
  const metrics = new Metrics()
  const all = s3Options(s3 as TestS3, { metrics, ...options })
  const store = await openS3Store(s3 as TestS3, { ...all, endpoint: proxy.url })
  const direct = await openS3Store(s3 as TestS3, all)
  onTestFinished(async () => {
    await store.close()
    await direct.close()
  })
  const spoil = (method: string, fault: Fault, times = 1): void =>
    proxy.add({ match: request => isOurs(request, method), times, fault })
  const sent = (method: string): number =>
    proxy.seen.filter(({ url, method: of }) => of === method && url.includes('x.parquet')).length
  return { proxy, store, direct, spoil, sent, metrics, options: all }
}

function isOurs({ method, url = '' }: IncomingMessage, wanted: string): boolean {
  return method === wanted && (url.includes('x.parquet') || url.includes('list-type'))
}

async function keysOf(store: S3BlobStore): Promise<string[]> {
  return (await Array.fromAsync(store.list(''))).map(info => info.key)
}

const passing: readonly Fault[] = [
  { kind: 'status', status: 500, body: 'no XML at all' },
  { kind: 'status', status: 503, body: '<Error><Code>SlowDown</Code></Error>' },
  { kind: 'status', status: 503, body: 'no XML at all' },
  { kind: 'status', status: 429, headers: { 'retry-after': '1' }, body: 'slow down' },
  { kind: 'reset' },
  { kind: 'hang' },
]
const xml = { 'content-type': 'application/xml' }
const nameOf = (fault: Fault): string =>
  fault.kind === 'status' ? `${fault.status} ${fault.body}` : fault.kind

describe.runIf(s3 !== undefined)('S3 behind a proxy', () => {
  test.each(passing.map(fault => [nameOf(fault), fault] as const))(
    '%s, twice: every call is sent again and succeeds',
    async (_name, fault) => {
      const { store, spoil, sent, metrics } = await behindProxy({ requestTimeoutMs: 1_500 })
      spoil('PUT', fault, 2)
      expect(await store.create(key, bytes)).toBe(true)
      expect(sent('PUT')).toBe(3)
      spoil('HEAD', fault, 2)
      expect(await store.head(key)).toMatchObject({ bytes: bytes.length })
      spoil('GET', fault, 2)
      expect(await store.read(key)).toEqual(new Uint8Array(bytes))
      spoil('GET', fault, 2)
      expect(await keysOf(store)).toEqual([key])
      spoil('DELETE', fault, 2)
      await store.delete(key)
      expect(await store.head(key)).toBeUndefined()
      expect(await metrics.blobRetries.get()).toMatchObject({
        values: ['put', 'head', 'get', 'list', 'delete'].map(operation => ({
          labels: { operation },
          value: 2,
        })),
      })
    },
  )

  test('a create that meets another one under way is sent again', async () => {
    const { store, spoil, sent } = await behindProxy()
    const body = '<Error><Code>ConditionalRequestConflict</Code></Error>'
    spoil('PUT', { kind: 'status', status: 409, headers: xml, body }, 2)
    expect(await store.create(key, bytes)).toBe(true)
    expect(sent('PUT')).toBe(3)
  })

  const doneButUntold: readonly Fault[] = [
    { kind: 'dropReply' },
    { kind: 'after', status: 500 },
    { kind: 'after', status: 503, body: 'no XML' },
  ]
  test.each(doneButUntold.map(fault => [fault.kind, fault] as const))(
    '%s of a create: the object is there, and its creator hears true',
    async (_name, fault) => {
      const { store, direct, spoil, sent } = await behindProxy()
      spoil('PUT', fault)
      expect(await store.create(key, bytes)).toBe(true)
      // It is looked for before its bytes would be sent again, and once more for whose it is.
      expect([sent('PUT'), sent('HEAD')]).toEqual([1, 2])
      expect(await direct.create(key, bytes)).toBe(false)
    },
  )

  test('lost answers on both sides of a race: one hears true, also where the bytes are equal', async () => {
    const { store, direct, spoil, proxy } = await behindProxy()
    for (let round = 0; round < 20; round++) {
      const name = `warm/${round}-x.parquet`
      spoil('PUT', { kind: 'dropReply' }, 1 + (round % 3))
      const creators = [store, direct, store, direct, store]
      const created = await Promise.all(creators.map(one => one.create(name, bytes)))
      expect(created.filter(Boolean).length, name).toBe(1)
      proxy.clear()
    }
  })

  test('the answer to a create that somebody else won is lost too: it hears false', async () => {
    const { store, direct, spoil } = await behindProxy()
    expect(await direct.create(key, bytes)).toBe(true)
    spoil('PUT', { kind: 'dropReply' })
    expect(await store.create(key, bytes)).toBe(false)
  })

  test('what was created unheard and deleted since is created again', async () => {
    const { store, direct, spoil } = await behindProxy()
    // The answer is lost; and before it is looked for, the object goes.
    spoil('PUT', { kind: 'dropReply' })
    spoil('HEAD', { kind: 'delay', ms: 1_000 })
    const created = store.create(key, bytes)
    await expect.poll(() => direct.head(key), { timeout: 5_000 }).toBeDefined()
    await direct.delete(key)
    expect(await created).toBe(true)
    expect(await direct.head(key)).toBeDefined()
  })

  test('a create whose answers are all lost is looked for, and its creator hears true', async () => {
    const { store, spoil, sent } = await behindProxy({ attempts: 1 })
    spoil('PUT', { kind: 'dropReply' })
    expect(await store.create(key, bytes)).toBe(true)
    expect(sent('PUT')).toBe(1)
  })

  test('a torn upload leaves nothing, and is sent again whole', async () => {
    const { store, direct, spoil } = await behindProxy()
    spoil('PUT', { kind: 'cutRequest', bytes: 1_000 })
    expect(await store.create(key, bytes)).toBe(true)
    expect(await direct.read(key)).toEqual(new Uint8Array(bytes))
  })

  test('torn reads, whole, ranged and of the end, are read again', async () => {
    const { store, spoil, sent } = await behindProxy()
    await store.create(key, bytes)
    for (const [start, length] of [
      [0, Number.POSITIVE_INFINITY],
      [10_000, 100_000],
      [-100_000, Number.POSITIVE_INFINITY],
    ] as const) {
      const before = sent('GET')
      spoil('GET', { kind: 'cutReply', bytes: 70_000 }, 2)
      const read = await store.read(key, start, length)
      const end = start < 0 ? undefined : start + length
      expect(read).toEqual(new Uint8Array(bytes.subarray(start, end)))
      expect(sent('GET') - before).toBe(3)
    }
  })

  test('more failures than attempts are an outage that names what was asked, and passes', async () => {
    const { store, spoil, sent, proxy } = await behindProxy({ attempts: 3 })
    spoil('PUT', { kind: 'status', status: 500 }, 3)
    const outage = store.create(key, bytes)
    await expect(outage).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true })
    await expect(outage).rejects.toThrow(
      new RegExp(`blobs s3://.*${proxy.url}: creating ${key} failed 3 times, at last with 500`),
    )
    expect(sent('PUT')).toBe(3)
    spoil('PUT', { kind: 'status', status: 500 }, 2)
    expect(await store.create(key, bytes)).toBe(true)
  })

  test('what cannot pass is sent once', async () => {
    const { store, spoil, sent } = await behindProxy()
    const body = '<Error><Code>AccessDenied</Code></Error>'
    spoil('PUT', { kind: 'status', status: 403, headers: xml, body })
    const denied = store.create(key, bytes)
    // While it runs this is an outage: rights may come back, and nothing is lost meanwhile.
    await expect(denied).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(denied).rejects.toThrow(/403 AccessDenied: allow s3:ListBucket/)
    expect(sent('PUT')).toBe(1)
  })

  test('a server that is away for a while: calls fail, then all is as before', async () => {
    const { store, proxy } = await behindProxy({ attempts: 2 })
    await store.create(key, bytes)
    await proxy.down()
    await expect(store.read(key)).rejects.toThrow(/ECONNREFUSED: see that the server runs/)
    await expect(store.create('warm/y.parquet', bytes)).rejects.toThrow(/s3.endpoint/)
    await proxy.up()
    expect((await store.read(key))?.length).toBe(bytes.length)
    expect(await store.create('warm/y.parquet', bytes)).toBe(true)
  })

  test('an outage shorter than the attempts is not noticed', async () => {
    const { store, proxy } = await behindProxy({ attempts: 20 })
    await proxy.down()
    const created = store.create(key, bytes)
    await new Promise(resolve => setTimeout(resolve, 500))
    await proxy.up()
    expect(await created).toBe(true)
  })

  test('what was changed behind our back is found out where an object is read whole', async () => {
    const { store, options } = await behindProxy({ attempts: 2 })
    const client = s3Client(s3 as TestS3)
    onTestFinished(() => client.destroy())
    const Metadata = { 'winnow-sha256': 'f'.repeat(64) }
    const Key = `${options.prefix}/${key}`
    await client.send(new PutObjectCommand({ Bucket: options.bucket, Key, Body: bytes, Metadata }))
    await expect(store.read(key)).rejects.toMatchObject({ code: 'DATA_CORRUPT' })
    await expect(store.read(key)).rejects.toThrow(/a SHA-256 that is not that of what was put/)
  })

  test('closing ends what hangs, and what waits to be sent again', async () => {
    for (const fault of [{ kind: 'hang' }, { kind: 'status', status: 503 }] as const) {
      const { store, spoil, sent } = await behindProxy({ attempts: 20, requestTimeoutMs: 60_000 })
      spoil('PUT', fault, 100)
      const ended = expect(store.create(key, bytes)).rejects.toThrow(/the store is closed/)
      await expect.poll(() => sent('PUT')).toBeGreaterThan(0)
      await store.close()
      await ended
      await expect(store.head(key)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    }
  })

  test('no more sockets are open than there may be', async () => {
    const { store, proxy } = await behindProxy({ connections: 3 })
    proxy.add({ fault: { kind: 'delay', ms: 50 } })
    const names = Array.from({ length: 20 }, (_, n) => `warm/${n}.parquet`)
    const created = Promise.all(names.map(name => store.create(name, bytes)))
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, proxy.connections)
    }, 5)
    expect(await created).toEqual(names.map(() => true))
    clearInterval(watch)
    expect(most).toBe(3)
  })
})
