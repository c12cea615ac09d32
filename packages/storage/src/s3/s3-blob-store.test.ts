import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Metrics, silentLog } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { checkObjectBytes, S3BlobStore } from './s3-blob-store.ts'
import { lifecycleRules, withRules } from './s3-lifecycle.ts'
import { s3ObjectBytesMax } from './s3-options.ts'

// What needs no server; test/stack has what does.

test('an object is as large as one PUT allows, and not a byte larger', () => {
  expect(() => checkObjectBytes('a.o', s3ObjectBytesMax)).not.toThrow()
  expect(() => checkObjectBytes('a.o', s3ObjectBytesMax + 1)).toThrow(/at most 5368709120/)
})

const dayMs = 86_400_000
const lives = { warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs }

test('rules delete a day behind the sweeper, never before it', () => {
  const days = lifecycleRules('', { ...lives, warm: 1, ledger: 2.5 * dayMs }).map(
    rule => `${rule.ID} ${rule.Filter?.Prefix} ${rule.Expiration?.Days}`,
  )
  expect(days).toEqual([
    'winnow-warm warm/ 2',
    'winnow-cold cold/ 366',
    'winnow-ledger ledger/ 4',
    'winnow-ids ids/ 4',
  ])
})

test('rules of other pipelines and of others are kept, and equal ones are not put again', () => {
  const ours = lifecycleRules('a/', lives)
  const others = [...lifecycleRules('b/', lives), ...lifecycleRules('', lives)]
  const all = withRules(others, ours)
  expect(all).toEqual([...others, ...ours])
  expect(new Set(all?.map(({ ID }) => ID)).size).toBe(12)
  expect(withRules(all ?? [], ours)).toBeUndefined()
  const shorter = lifecycleRules('a/', { ...lives, warm: dayMs })
  expect(withRules(all ?? [], shorter)).toEqual([...others, ...shorter])
})

test('what waits for another’s connection is not late', async () => {
  const list =
    '<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>'
  const waitMs = 250
  const server = createServer((request, response) => {
    if (request.url?.includes('list-type')) response.end(list)
    else setTimeout(() => response.end(Buffer.alloc(4)), waitMs)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const store = await S3BlobStore.open({
    bucket: 'b',
    prefix: '',
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    requestTimeoutMs: 3 * waitMs,
    attempts: 1,
    connections: 1,
    classes: {},
    mayWrite: false,
    log: silentLog,
    metrics: new Metrics(),
  })
  onTestFinished(async () => {
    await store.close()
    server.close()
  })
  const keys = Array.from({ length: 6 }, (_, n) => `warm/${n}.parquet`)
  const read = await Promise.all(keys.map(key => store.read(key, 0, 4)))
  expect(read.map(bytes => bytes?.length)).toEqual(keys.map(() => 4))
})
