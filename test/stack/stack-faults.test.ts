// Every server that Winnow stands on is killed, blocked or lies, under load, one after the other, and every
// stage is killed: then the whole account. S3 fails while OpenSearch is read-only, each else alone.

import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { CrashRun } from '../crash/crash-run.ts'
import { FaultProxy, type FaultRule } from './fault-proxy.ts'
import type { TestStack } from './stack.ts'
import { stackForTest, twoOfEach } from './stack-system.ts'

const seed = 92
/** Longer than a bulk request, a segment and its retries take. */
const faultMs = 6_000
const blockMs = 60_000

test('whatever server or stage fails, nothing is lost, nothing is there twice, every verdict is right', {
  timeout: 900_000,
}, async ({ skip }) => {
  const stack = await stackForTest(skip)
  const hot = await proxyTo(stack.opensearch.url)
  const blobs = await proxyTo(stack.s3.endpoint)
  const system = await twoOfEach(stack, {
    WINNOW_HOT: hot.url,
    WINNOW_S3_ENDPOINT: blobs.url,
    WINNOW_S3_REQUEST_TIMEOUT: '2s',
    WINNOW_OPENSEARCH_REQUEST_TIMEOUT: '5s',
  })
  const run = new CrashRun({ seed, system, tracesPerSecond: 45 })
  const phase = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const begunAtMs = Date.now()
    await work()
    console.log(`seed ${seed}: ${name}, ${Math.round((Date.now() - begunAtMs) / 1000)} s`)
  }
  for (const name of ['receiver', 'assembler', 'sampler', 'writer', 'query']) {
    await phase(`${name} killed`, () => run.kill(name, 0))
  }
  await phase('Redis emptied, filled, killed', () => spoilRedis(stack))
  await phase('OpenSearch refuses whole requests', () => spoilt(hot, wholeRequestRefused))
  await phase('OpenSearch killed', async () => {
    await stack.opensearch.kill9()
    await sleep(faultMs)
    await stack.opensearch.restart()
  })
  const readOnly = phase('OpenSearch read-only', () => blocked(stack.opensearch.url))
  for (const [name, rule] of s3Faults) await phase(name, () => spoilt(blobs, rule))
  await phase('S3 killed', async () => {
    await stack.s3.kill9()
    await sleep(faultMs)
    await stack.s3.restart()
  })
  await readOnly
  const { figures, kept, violations } = await run.account()
  console.log(`seed ${seed}: ${JSON.stringify({ ...figures, kept })}`)
  expect(violations.join('\n'), `seed ${seed}`).toBe('')
  expect(kept, `seed ${seed}`).toBeGreaterThan(100)
})

const wholeRequestRefused: FaultRule = {
  match: ({ url = '' }) => url.includes('/_bulk'),
  fault: {
    kind: 'status',
    status: 429,
    headers: { 'content-type': 'application/json' },
    body: '{"error":{"type":"rejected_execution_exception","reason":"rejected"},"status":429}',
  },
}

const isPut: FaultRule['match'] = ({ method }) => method === 'PUT'

const s3Faults: readonly (readonly [name: string, rule: FaultRule])[] = [
  ['S3 answers 500', { fault: { kind: 'status', status: 500, body: 'not XML' } }],
  ['S3 loses replies', { match: isPut, fault: { kind: 'dropReply' } }],
  ['S3 hangs', { fault: { kind: 'hang' } }],
  [
    'S3 tears answers',
    { match: ({ method }) => method === 'GET', fault: { kind: 'cutReply', bytes: 100 } },
  ],
]

async function proxyTo(url: string): Promise<FaultProxy> {
  const proxy = await FaultProxy.start(url)
  onTestFinished(() => proxy.down())
  return proxy
}

async function spoilt(proxy: FaultProxy, rule: FaultRule): Promise<void> {
  proxy.add(rule)
  await sleep(faultMs)
  proxy.clear()
}

async function spoilRedis({ redis }: TestStack): Promise<void> {
  const client = new Redis(redis.url)
  client.on('error', () => {})
  await client.flushall()
  await sleep(faultMs / 2)
  await client.config('SET', 'maxmemory', '8mb')
  await sleep(faultMs)
  await client.config('SET', 'maxmemory', '512mb')
  client.disconnect()
  await redis.kill9()
  await sleep(faultMs / 2)
  await redis.restart()
}

/** What a node does by itself at the flood stage of its disk. */
async function blocked(url: string): Promise<void> {
  const set = (value: boolean | null) =>
    fetch(`${url}/_all/_settings`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ 'index.blocks.read_only_allow_delete': value }),
    })
  expect((await set(true)).status).toBe(200)
  await sleep(blockMs)
  expect((await set(null)).status).toBe(200)
}
