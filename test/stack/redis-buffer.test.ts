// The trace buffer on a real Redis, alone, behind sentinels and as a cluster.

import { expect, onTestFinished, test, vi } from 'vitest'
import { traceBufferContract } from '../../packages/storage/src/trace-buffer.contract.ts'
import { counted, held, openBuffer, put } from './redis/buffers.ts'
import { redisCli, startRedisCluster, startRedisSentinel, until } from './redis/groups.ts'
import { needRedis, redisForTest } from './redis/shared.ts'
import { missingForRedis, startNativeRedis } from './redis.ts'

const waits = { timeout: 60_000, interval: 50 }
const waitsShort = { minMs: 20, maxMs: 40 }
const short = { waits: waitsShort, reconnect: waitsShort }

test('a Redis is to be had', ({ skip }) => needRedis(skip))

if (missingForRedis() === undefined) {
  const all = {
    single: await startNativeRedis(),
    cluster: await startRedisCluster(),
    sentinel: await startRedisSentinel(),
  }
  for (const [name, { url }] of Object.entries(all)) {
    traceBufferContract(`Redis ${name}`, async () => (await openBuffer(url)).buffer)
  }
  test('the servers of the contract are stopped', () => {
    onTestFinished(async () => {
      for (const server of Object.values(all)) await server.stop()
    })
  })
}

test('the bytes of a put are the caller’s again as soon as it returns, also in a cluster', async ({
  skip,
}) => {
  needRedis(skip)
  const cluster = await startRedisCluster()
  onTestFinished(() => cluster.stop())
  const single = await redisForTest(skip)
  for (const { url } of [single, cluster]) {
    const { buffer } = await openBuffer(url)
    const value = new Uint8Array(200_000).fill(7)
    const putting = buffer.putRecords('log', 0, [{ offset: 0, value }])
    value.fill(9)
    await putting
    const whole = { partition: 0, offset: 0, start: 0, length: value.length }
    const [read] = await buffer.readRanges('log', [whole])
    expect(read?.every(byte => byte === 7)).toBe(true)
  }
})

test('a record and a checkpoint live their time and go by themselves', async ({ skip }) => {
  const { url, port } = await redisForTest(skip)
  const opened = await openBuffer(url, { recordLifeMs: 500, limits: { checkpointLifeMs: 90_000 } })
  await put(opened, 0, 10)
  await opened.buffer.putCheckpoint('log', 0, { offset: 1, bytes: new Uint8Array(10) })
  expect(await redisCli(port, 'keys', '*')).toContain('winnow:{log:0}:checkpoint')
  await vi.waitFor(async () => expect(await held(opened, 0)).toEqual([false]), waits)
  const left = Number(await redisCli(port, 'pttl', 'winnow:{log:0}:checkpoint'))
  expect(left).toBeGreaterThan(500)
  expect(left).toBeLessThanOrEqual(90_000)
})

test('a value at its limit is put, a byte more is left out and counted', async ({ skip }) => {
  const { url } = await redisForTest(skip)
  const opened = await openBuffer(url, { limits: { valueBytesMax: 100 } })
  await put(opened, 0, 100, 101, 100)
  expect(await held(opened, 0, 1, 2)).toEqual([true, false, true])
  const { buffer } = opened
  await buffer.putCheckpoint('log', 0, { offset: 5, bytes: new Uint8Array(92) })
  await buffer.putCheckpoint('log', 0, { offset: 6, bytes: new Uint8Array(93) })
  expect((await buffer.readCheckpoint('log', 0))?.offset).toBe(5)
  expect(await counted(opened, 'left_out_total', { reason: 'too_large' })).toBe(2)
  expect(await counted(opened, 'put_bytes_total')).toBe(300)
  expect(await counted(opened, 'put_bytes_total', { kind: 'record' })).toBe(200)
  expect(await counted(opened, 'reads_total', { result: 'hit' })).toBe(2)
  expect(await counted(opened, 'reads_total', { result: 'miss' })).toBe(1)
  expect(await counted(opened, 'read_bytes_total')).toBe(2)
})

test('a process puts up to its bytes, one record over them is left out until others are old', async ({
  skip,
}) => {
  const { url } = await redisForTest(skip)
  // Each value counts 200 bytes more: 3 × 300 of records and 208 + 92 of a checkpoint.
  const opened = await openBuffer(url, { bytesMax: 1_200, recordLifeMs: 1_000 })
  const { buffer } = opened
  const checkpoint = (offset: number, bytes: number): Promise<void> =>
    buffer.putCheckpoint('log', 0, { offset, bytes: new Uint8Array(bytes) })
  // The second replaces the first.
  await checkpoint(1, 92)
  await checkpoint(2, 92)
  await put(opened, 0, 100, 100, 101, 100)
  expect(await held(opened, 0, 1, 2, 3)).toEqual([true, true, false, true])
  expect(await counted(opened, 'left_out_total', { reason: 'budget' })).toBe(1)
  // A checkpoint goes before records: those leave it no room, and it is put all the same.
  await checkpoint(3, 992)
  expect((await buffer.readCheckpoint('log', 0))?.offset).toBe(3)
  await checkpoint(4, 993)
  expect((await buffer.readCheckpoint('log', 0))?.offset).toBe(3)
  await checkpoint(5, 92)
  const again = async (): Promise<void> => {
    await put(opened, 9, 100)
    expect(await held(opened, 9)).toEqual([true])
  }
  await vi.waitFor(again, waits)
})

test('bytes on their way have a limit, and what is over it is left out, not kept waiting', async ({
  skip,
}) => {
  const redis = await redisForTest(skip)
  const opened = await openBuffer(redis.url, { limits: { inflightBytesMax: 1_000 } })
  redis.hang()
  await put(opened, 0, 600, 400, 1, 600)
  expect(await counted(opened, 'left_out_total', { reason: 'busy' })).toBe(2)
  redis.resume()
  expect(await held(opened, 0, 1, 2, 3)).toEqual([true, true, false, false])
  await put(opened, 4, 1_001)
  expect(await held(opened, 4)).toEqual([true])
})

test('a server that hangs: readers wait their time once, then not at all, until it answers', async ({
  skip,
}) => {
  const redis = await redisForTest(skip)
  const opened = await openBuffer(redis.url, {
    answerWaitMs: 200,
    limits: { silenceMs: 1_000, checkpointWaitMs: 200, waits: { minMs: 600_000, maxMs: 600_000 } },
  })
  await put(opened, 0, 10)
  expect(await held(opened, 0)).toEqual([true])
  redis.hang()
  expect(await held(opened, 0)).toEqual([false])
  await opened.buffer.putCheckpoint('log', 0, { offset: 1, bytes: new Uint8Array(10) })
  // By its breaker nobody asks for ten minutes: these cost nothing.
  for (let call = 0; call < 10_000; call++) {
    expect(await held(opened, 0)).toEqual([false])
    await put(opened, call, 10)
  }
  await vi.waitFor(() => expect(opened.lines.map(({ kind }) => kind)).toContain('buffer.degraded'))
  expect(await counted(opened, 'up')).toBe(0)
  const detail = () => opened.buffer.health().detail
  expect(detail()).toContain('the bus is read instead')
  await vi.waitFor(() => expect(detail()).toMatch(/Socket timeout/), waits)
  redis.resume()
  // To connect again is the probe.
  await vi.waitFor(async () => expect(await held(opened, 0)).toEqual([true]), waits)
  expect(await counted(opened, 'up')).toBe(1)
  expect(opened.buffer.health()).toEqual({ ready: true })
})

test('killed and started again: all are misses, one line tells, and it is filled anew', async ({
  skip,
}) => {
  const redis = await redisForTest(skip)
  const opened = await openBuffer(redis.url, { limits: short })
  await put(opened, 0, 10)
  expect(await held(opened, 0)).toEqual([true])
  await redis.kill9()
  const isDown = async (): Promise<void> => expect(await counted(opened, 'up')).toBe(0)
  await vi.waitFor(isDown, waits)
  expect(await held(opened, 0)).toEqual([false])
  await put(opened, 1, 10)
  expect(await opened.buffer.readCheckpoint('log', 0)).toBeUndefined()
  expect(await counted(opened, 'left_out_total', { reason: 'down' })).toBe(1)
  await vi.waitFor(() => expect(opened.buffer.health().detail).toMatch(/ECONNREFUSED/), waits)
  await redis.restart()
  const isBack = async (): Promise<void> => {
    await put(opened, 2, 10)
    expect(await held(opened, 0, 2)).toEqual([false, true])
  }
  await vi.waitFor(isBack, waits)
  const kinds = opened.lines.map(({ kind }) => kind)
  expect(kinds).toEqual(['buffer.connected', 'buffer.degraded', 'buffer.connected'])
})

test('a full server that evicts nothing is read on, and asked by a probe whether it takes more', async ({
  skip,
}) => {
  const redis = await redisForTest(skip, { fresh: true, maxmemory: '3mb' })
  const opened = await openBuffer(redis.url, { limits: short })
  await put(opened, 0, 10)
  let next = 1
  const isFull = async (): Promise<void> => {
    await put(opened, next++, 100_000)
    expect(await counted(opened, 'left_out_total', { reason: 'full' })).toBeGreaterThan(0)
  }
  await vi.waitFor(isFull, waits)
  expect(await held(opened, 0)).toEqual([true])
  expect(opened.buffer.health().detail).toMatch(/OOM .* more maxmemory/)
  expect(await counted(opened, 'up')).toBe(0)
  await redisCli(redis.port, 'config', 'set', 'maxmemory', '100mb')
  await vi.waitFor(async () => {
    await put(opened, 0, 100_000)
    expect(await held(opened, 0)).toEqual([true])
    expect(opened.buffer.health()).toEqual({ ready: true })
  }, waits)
  // That it takes a value now and then is not worth a line each time.
  expect(opened.lines.filter(({ kind }) => kind === 'buffer.connected').length).toBe(1)
})

test('a primary that becomes a replica is left for the one that sentinels name', async ({
  skip,
}) => {
  needRedis(skip)
  const sentinel = await startRedisSentinel()
  onTestFinished(() => sentinel.stop())
  const opened = await openBuffer(sentinel.url, {
    answerWaitMs: 500,
    limits: { silenceMs: 500, ...short },
  })
  await put(opened, 0, 10)
  expect(await held(opened, 0)).toEqual([true])
  const isTakenOver = async (): Promise<void> => {
    await put(opened, 1, 10)
    expect(await held(opened, 1)).toEqual([true])
  }
  // Demoted while it lives: it answers READONLY.
  const sentinelPort = Number(/:(\d+)\//.exec(sentinel.url)?.[1])
  await until(sentinelPort, ['sentinel', 'failover', 'winnow'], /^OK/)
  await until(sentinel.replica.port, ['info', 'replication'], /role:master/)
  await until(sentinel.primary.port, ['info', 'replication'], /role:slave/)
  await vi.waitFor(isTakenOver, waits)
  // Dead: the other one is asked for again.
  await sentinel.replica.kill9()
  await until(sentinel.primary.port, ['info', 'replication'], /role:master/)
  await vi.waitFor(isTakenOver, waits)
})

test('a slot that moves to another node of a cluster is followed, also by what is on its way', async ({
  skip,
}) => {
  needRedis(skip)
  const cluster = await startRedisCluster()
  onTestFinished(() => cluster.stop())
  const opened = await openBuffer(cluster.url, { limits: short })
  await put(opened, 0, 10)
  const [any] = cluster.nodes
  if (any === undefined) return expect.fail('there are nodes')
  const slot = await redisCli(any.port, 'cluster', 'keyslot', 'winnow:{log:0}:0')
  const ids = await Promise.all(cluster.nodes.map(({ port }) => redisCli(port, 'cluster', 'myid')))
  const table = await redisCli(any.port, 'cluster', 'slots')
  const owner = cluster.nodes.findIndex(({ port }) => ownsSlot(table, Number(slot), port))
  const next = (owner + 1) % 3
  const ports = cluster.nodes.map(({ port }) => port)
  const [from = 0, to = 0] = [ports[owner], ports[next]]
  await redisCli(to, 'cluster', 'setslot', slot, 'importing', ids[owner] ?? '')
  await redisCli(from, 'cluster', 'setslot', slot, 'migrating', ids[next] ?? '')
  await redisCli(from, 'migrate', '127.0.0.1', `${to}`, 'winnow:{log:0}:0', '0', '5000')
  // The slot is between two nodes: old keys are where they went, new ones where they belong.
  const duringPut = put(opened, 1, 10)
  for (const port of [to, from, ...ports]) {
    await redisCli(port, 'cluster', 'setslot', slot, 'node', ids[next] ?? '')
  }
  // The client knows the old node: this is sent twice, and the second time the caller's memory is another's.
  const value = new Uint8Array(1_000).fill(7)
  const moved = opened.buffer.putRecords('log', 0, [{ offset: 3, value }])
  value.fill(9)
  await Promise.all([duringPut, moved])
  await vi.waitFor(async () => {
    const whole = { partition: 0, offset: 3, start: 0, length: value.length }
    const [read] = await opened.buffer.readRanges('log', [whole])
    expect(read?.every(byte => byte === 7)).toBe(true)
  }, waits)
  await vi.waitFor(async () => {
    await put(opened, 2, 10)
    expect(await held(opened, 0, 2)).toEqual([true, true])
  }, waits)
  // A node that is gone costs its own partitions and no others.
  await cluster.nodes[next]?.kill9()
  await vi.waitFor(async () => expect(await held(opened, 0)).toEqual([false]), waits)
  const others = Array.from({ length: 40 }, (_, partition) => partition + 1)
  await vi.waitFor(async () => {
    let answered = 0
    for (const partition of others) {
      await opened.buffer.putRecords('log', partition, [{ offset: 0, value: new Uint8Array(1) }])
      const range = { partition, offset: 0, start: 0, length: 1 }
      const [read] = await opened.buffer.readRanges('log', [range])
      if (read !== undefined) answered++
    }
    expect(answered).toBeGreaterThan(15)
  }, waits)
})

/** `CLUSTER SLOTS` as redis-cli prints it: from, to, host, port, … a line each. */
function ownsSlot(table: string, slot: number, port: number): boolean {
  const lines = table.split('\n').map(line => line.trim())
  return lines.some(
    (line, at) =>
      /^\d+$/.test(line) &&
      lines[at + 2] === '127.0.0.1' &&
      lines[at + 3] === `${port}` &&
      Number(line) <= slot &&
      slot <= Number(lines[at + 1]),
  )
}
