// The trace buffer on a real Redis, alone, behind sentinels and as a cluster.

import { Metrics, silentLog, systemClock } from '@winnow/runtime'
import { RedisTraceBuffer, type RedisTraceBufferOptions } from '@winnow/storage'
import { test } from 'vitest'
import { traceBufferContract } from '../../packages/storage/src/trace-buffer.contract.ts'
import { startRedisCluster, startRedisSentinel } from './redis/groups.ts'
import { needRedis } from './redis/shared.ts'
import { missingForRedis, startNativeRedis } from './redis.ts'

const isHere = missingForRedis() === undefined
test('a Redis is to be had', ({ skip }) => needRedis(skip))

if (isHere) {
  const single = await startNativeRedis()
  const cluster = await startRedisCluster()
  const sentinel = await startRedisSentinel()
  for (const [name, { url }] of Object.entries({ single, cluster, sentinel })) {
    traceBufferContract(`Redis ${name}`, () => open(url))
  }
}
async function open(
  address: string,
  changes: Partial<RedisTraceBufferOptions> = {},
): Promise<RedisTraceBuffer> {
  return RedisTraceBuffer.open({
    address,
    recordLifeMs: 60_000,
    bytesMax: 1 << 28,
    answerWaitMs: 5_000,
    stage: 'test',
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics(),
    ...changes,
  })
}
