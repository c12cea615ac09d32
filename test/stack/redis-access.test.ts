// Passwords, certificates and wrong addresses: the program starts without the buffer, and says why in a line.

import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RedisTraceBufferOptions } from '@winnow/storage'
import { afterAll, expect, onTestFinished, test, vi } from 'vitest'
import { freePort } from './ports.ts'
import { counted, held, openBuffer, put } from './redis/buffers.ts'
import { makeCertificates } from './redis/certificates.ts'
import { redisCli, startRedisCluster } from './redis/groups.ts'
import { needRedis, redisForTest } from './redis/shared.ts'

const folder = mkdtempSync(join(tmpdir(), 'winnow-redis-tls-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Puts and reads, and nothing was said but that it is connected. */
async function expectWorks(address: string, changes: Partial<RedisTraceBufferOptions>) {
  const opened = await openBuffer(address, changes)
  await put(opened, 0, 10)
  expect(await held(opened, 0)).toEqual([true])
  expect(opened.lines.map(({ kind }) => kind)).toEqual(['buffer.connected'])
  expect(opened.buffer.health()).toEqual({ ready: true })
  await opened.buffer.close()
}

/** One line with reason and remedy, the metric, a health that is degraded and ready; every call a miss. */
async function expectDegraded(
  address: string,
  changes: Partial<RedisTraceBufferOptions>,
  reason: RegExp,
  remedy: RegExp,
) {
  const reconnect = { minMs: 20, maxMs: 40 }
  const limits = { connectWaitMs: 500, reconnect, waits: reconnect }
  const opened = await openBuffer(address, { ...changes, limits })
  await vi.waitFor(
    async () => {
      await put(opened, 0, 10)
      expect(await held(opened, 0)).toEqual([false])
      expect(opened.lines.map(({ kind }) => kind)).toContain('buffer.degraded')
    },
    { timeout: 60_000 },
  )
  // It tries again and again, and says it once.
  for (let call = 0; call < 20; call++) {
    await put(opened, call, 10)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const lines = opened.lines.filter(({ kind }) => kind === 'buffer.degraded')
  expect(lines.length).toBe(1)
  expect(lines[0]?.reason).toMatch(reason)
  expect(lines[0]?.remedy).toMatch(remedy)
  expect(lines[0]?.buffer).toBe(address)
  expect(await counted(opened, 'up')).toBe(0)
  expect(await counted(opened, 'left_out_total')).toBeGreaterThan(20)
  const health = opened.buffer.health()
  expect(health.ready).toBe(true)
  expect(health.detail).toMatch(remedy)
  expect(JSON.stringify([opened.lines, health])).not.toMatch(/geheim/)
  await opened.buffer.close()
}

test('the right password goes through, of the default user and of another', async ({ skip }) => {
  const { url, port } = await redisForTest(skip, { fresh: true, password: 'geheim' })
  await expectWorks(url, { password: 'geheim' })
  const rules = ['on', '>geheim2', '~winnow:*', '+set', '+get', '+getrange', '+info']
  await redisCli(port, '--no-auth-warning', '-a', 'geheim', 'acl', 'setuser', 'winnow', ...rules)
  await expectWorks(url, { username: 'winnow', password: 'geheim2' })
})

test('a wrong password, none, or too few rights: one line names the key', async ({ skip }) => {
  const { url, port } = await redisForTest(skip, { fresh: true, password: 'richtig' })
  await expectDegraded(url, { password: 'geheim' }, /^WRONGPASS/, /redis.password/)
  await expectDegraded(url, {}, /^NOAUTH/, /redis.password/)
  const user = ['acl', 'setuser', 'reader', 'on', '>geheim', '~winnow:*', '+get', '+info']
  await redisCli(port, '--no-auth-warning', '-a', 'richtig', ...user)
  const reader = { username: 'reader', password: 'geheim' }
  await expectDegraded(url, reader, /^NOPERM/, /\+set \+get \+getrange/)
})

test('TLS with certificates of both sides goes through; without, one line names the files', async ({
  skip,
}) => {
  needRedis(skip)
  const files = makeCertificates(folder)
  const { url } = await redisForTest(skip, { fresh: true, tls: files, password: 'geheim' })
  const password = 'geheim'
  const [ca, cert, key] = [files.ca, files.cert, files.key].map(path => readFileSync(path, 'utf8'))
  if (ca === undefined || cert === undefined || key === undefined) return
  await expectWorks(url, { tls: { ca, cert, key }, password })
  await expectDegraded(url, { tls: { cert, key }, password }, /certificate/, /redis.caFile/)
  await expectDegraded(url, { password }, /./, /redis.tls/)
  const plain = await redisForTest(skip)
  await expectDegraded(plain.url, { tls: { ca } }, /./, /redis.tls/)
})

test('nobody there, or somebody else: one line names the address', async ({ skip }) => {
  needRedis(skip)
  const nobody = await freePort()
  await expectDegraded(`redis://127.0.0.1:${nobody}`, {}, /ECONNREFUSED/, /address of buffer/)
  const sentinels = `redis+sentinel://127.0.0.1:${nobody}/main`
  await expectDegraded(sentinels, {}, /entinel/, /sentinels/)
  await expectDegraded(`redis+cluster://127.0.0.1:${nobody}`, {}, /./, /address of buffer/)
  const http = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1')
  onTestFinished(() => {
    http.closeAllConnections()
    http.close()
  })
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  await expectDegraded(`redis://127.0.0.1:${port}`, {}, /./, /./)
})

test('a cluster that is called alone, and one alone that is called a cluster', async ({ skip }) => {
  const single = await redisForTest(skip)
  const address = single.url.replace('redis:', 'redis+cluster:')
  await expectDegraded(address, {}, /cluster support disabled/, /redis:\/\//)
  const cluster = await startRedisCluster()
  onTestFinished(() => cluster.stop())
  const slot = await redisCli(single.port, 'echo', 'up')
  expect(slot).toBe('up')
  for (const { url } of cluster.nodes.slice(0, 2)) {
    const opened = await openBuffer(url)
    for (let partition = 0; partition < 30; partition++) {
      await opened.buffer.putRecords('log', partition, [{ offset: 0, value: new Uint8Array(9) }])
    }
    await vi.waitFor(() => expect(opened.buffer.health().detail).toMatch(/MOVED/))
    expect(opened.buffer.health().detail).toMatch(/redis\+cluster/)
  }
})
