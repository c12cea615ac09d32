// Whatever happens to the trace buffer: what is kept, why, its bytes and the ledger's balance are the same.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { verifyTopics } from '@winnow/query'
import { expect, test } from 'vitest'
import { expectAgreement } from '../support/expect-agreement.ts'
import { playQuickly } from '../support/seed-run.ts'
import { openBus } from './kafka/clients.ts'
import { sharedKafka } from './kafka/shared.ts'
import { counted, openBuffer } from './redis/buffers.ts'
import { redisCli } from './redis/groups.ts'
import { redisForTest } from './redis/shared.ts'
import type { StartRedisOptions, TestRedis } from './redis.ts'

const traces = 4_000
const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')

interface Fault {
  readonly what: string
  readonly seed: number
  readonly redis?: StartRedisOptions
  /** Where the default would be a wait of the test. */
  readonly answerWaitMs?: number
  /** While traffic flows, which is for some eight seconds, and what is open stays open for three more. */
  readonly spoil?: (redis: TestRedis) => Promise<void>
  /** What the buffer must have gone through, for the fault to have been one. */
  readonly seen: Readonly<Record<string, number>>
}

const faults: readonly Fault[] = [
  { what: 'nothing', seed: 31, seen: {} },
  {
    what: 'FLUSHALL again and again',
    seed: 32,
    // It ends before the traffic does: what comes later is there when it is read, however slow the machine.
    spoil: async redis => {
      for (let time = 0; time < 7; time++) {
        await sleep(700)
        await redisCli(redis.port, 'flushall')
      }
    },
    seen: { 'reads_total miss': 1 },
  },
  {
    what: 'kill -9 and a new start',
    seed: 33,
    spoil: async redis => {
      await sleep(2_000)
      await redis.kill9()
      await sleep(1_500)
      await redis.restart()
    },
    seen: { 'reads_total miss': 1, 'left_out_total down': 1 },
  },
  {
    what: '8 MB and no eviction',
    seed: 34,
    redis: { maxmemory: '8mb', policy: 'noeviction' },
    seen: { 'reads_total miss': 1, 'left_out_total full': 1 },
  },
  {
    what: '8 MB, the least used goes',
    seed: 35,
    redis: { maxmemory: '8mb', policy: 'allkeys-lru' },
    seen: { 'reads_total miss': 1 },
  },
  {
    what: 'a server that hangs, and comes back',
    answerWaitMs: 500,
    seed: 36,
    spoil: async redis => {
      await sleep(1_500)
      redis.hang()
      await sleep(4_000)
      redis.resume()
    },
    seen: { 'reads_total miss': 1 },
  },
]

fact.for(faults)(
  '$what, seed $seed: the oracle agrees and the ledger balances',
  async (fault, { skip }) => {
    const redis = await redisForTest(skip, { fresh: true, ...fault.redis })
    const opened = await openBuffer(redis.url, { answerWaitMs: fault.answerWaitMs ?? 20_000 })
    const prefix = `winnow-${randomUUID().slice(0, 8)}`
    const { buffer } = opened
    const { seed, spoil } = fault
    const run = await playQuickly(
      {
        seed,
        traces,
        tracesPerSecond: 500,
        prefix,
        buffer,
        ...(spoil && { meanwhile: () => spoil(redis) }),
      },
      specs => openBus(broker, specs),
    )
    const { bus, topics } = run.harness
    const balance = await verifyTopics({ bus, topics, slicesMax: 1_000_000 })
    expect(balance).toMatchObject({ balanced: true, pending: 0, lostToRetention: 0 })
    await expectAgreement(run, false)
    const hits = await counted(opened, 'reads_total', { result: 'hit' })
    const misses = await counted(opened, 'reads_total', { result: 'miss' })
    expect(hits).toBeGreaterThan(0)
    // A trace that is rescued late, or was cut in parts, finds its record in place as well.
    if (spoil === undefined && fault.redis === undefined) expect(misses).toBe(0)
    for (const [name, least] of Object.entries(fault.seen)) {
      const [metric = '', label = ''] = name.split(' ')
      const labels = metric === 'reads_total' ? { result: label } : { reason: label }
      expect(await counted(opened, metric, labels), name).toBeGreaterThanOrEqual(least)
    }
  },
)
