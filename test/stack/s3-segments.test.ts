import type { IncomingMessage } from 'node:http'
import process from 'node:process'
import { Metrics } from '@winnow/runtime'
import { Random } from '@winnow/testing'
import { expect, onTestFinished, test } from 'vitest'
import {
  dayMs,
  decisionOn,
  LookupFixture,
  todayMs,
  traceIdOf,
} from '../../services/query/src/lookup.fixture.ts'
import { ForcedLease, segmentsProcess } from '../../services/writer/src/forced-lease.fixture.ts'
import {
  countingOf,
  ledgerOffsets,
  spanNames,
  tiersOf,
} from '../../services/writer/src/tiers.fixture.ts'
import { Fixture } from '../../services/writer/src/writer.fixture.ts'
import { type Fault, FaultProxy } from './fault-proxy.ts'
import { s3ForTest, sharedS3 } from './s3/shared.ts'
import { openS3Store, s3Options } from './s3/store.ts'
import type { TestS3 } from './s3.ts'

// The writer's segments and the readers of them on a real S3.

const s3 = await sharedS3()

const seed = Number(process.env.TEST_SEED ?? 48)
const waits = { timeout: 120_000, interval: 50 }
const newest = { segmentAge: 1_000 }

/** Each counting decision is in one ledger segment, and each span of a keep once in warm and in cold. */
async function expectExactlyOnce(fixture: Fixture, spansWanted: number): Promise<void> {
  const tiers = await tiersOf(fixture.blobs)
  const counting = await countingOf(fixture.bus)
  expect(ledgerOffsets(tiers)).toEqual(counting.map(({ offset }) => offset))
  let next = 0
  for (const { metadata } of tiers.ledger) {
    expect(metadata.a, 'no gap and no overlap').toBe(next)
    next = metadata.b + 1
  }
  const warm = spanNames(tiers.warm)
  expect(warm.length).toBe(spansWanted)
  expect(new Set(warm).size).toBe(spansWanted)
  expect(spanNames(tiers.cold)).toEqual(warm)
}

async function decided(fixture: Fixture, count: number): Promise<number> {
  let spans = 0
  for (let n = 0; n < count; n++) {
    if (n % 4 === 3) await fixture.drop(n)
    else {
      await fixture.keep(n)
      spans += 2
    }
  }
  return spans
}

/** Every third put or so goes wrong, as networks and servers do it. */
function spoilPuts(proxy: FaultProxy, random: Random): void {
  const faults: readonly Fault[] = [
    { kind: 'dropReply' },
    { kind: 'after', status: 500 },
    { kind: 'status', status: 503 },
    { kind: 'reset' },
    { kind: 'delay', ms: 30 },
    { kind: 'cutRequest', bytes: 200 },
    { kind: 'cutReply', bytes: 100 },
  ]
  for (const fault of faults) {
    const match = ({ method, url = '' }: IncomingMessage): boolean =>
      url.includes('.parquet') && (method === 'PUT' || method === 'GET') && random.chance(0.06)
    proxy.add({ match, fault })
  }
}

test.runIf(s3 !== undefined)(
  `two writers by force on one partition, each behind a bad network: no segment twice (seed ${seed})`,
  async () => {
    const random = new Random(seed)
    const options = s3Options(s3 as TestS3)
    const direct = await openS3Store(s3 as TestS3, options)
    const fixture = new Fixture({ blobs: () => direct })
    const spans = await decided(fixture, 40)
    const { end } = await fixture.bus.bounds('decisions', 0)
    const writers = await Promise.all(
      [4, 7, 5].map(async segmentDecisions => {
        const proxy = await FaultProxy.start((s3 as TestS3).endpoint)
        const blobs = await openS3Store(s3 as TestS3, { ...options, endpoint: proxy.url })
        spoilPuts(proxy, random)
        // Positions of its own: neither hears of the other's commits.
        const positions = { committed: undefined as { offset: number; note: string } | undefined }
        const lease = new ForcedLease(fixture, positions)
        const config = { ...newest, segmentDecisions }
        const done = segmentsProcess(fixture, lease, config, { blobs })
        return { proxy, blobs, positions, lease, done }
      }),
    )
    const places = (): (number | undefined)[] =>
      writers.map(({ positions }) => positions.committed?.offset)
    await expect.poll(places, waits).toEqual([end, end, end])
    for (const { lease, done, blobs, proxy } of writers) {
      lease.lose()
      await done
      await blobs.close()
      expect(proxy.seen.filter(({ fault }) => fault !== undefined).length).toBeGreaterThan(0)
      await proxy.close()
    }
    await expectExactlyOnce(fixture, spans)
    await direct.close()
  },
)

test('the server is killed again and again under a writer: each segment once and whole', async ({
  skip,
}) => {
  const own = await s3ForTest(skip, { fresh: true, server: 'versitygw' })
  const blobs = await openS3Store(own, { attempts: 2, requestTimeoutMs: 5_000 })
  onTestFinished(() => blobs.close())
  const fixture = new Fixture({ blobs: () => blobs })
  onTestFinished(() => fixture.stop())
  const spans = await decided(fixture, 60)
  await fixture.writer({ ...newest, segmentDecisions: 3 })
  const segments = async (): Promise<number> =>
    (await Array.fromAsync(blobs.list('ledger/')).catch(() => [])).length
  for (const wanted of [2, 6, 10]) {
    await expect.poll(segments, waits).toBeGreaterThanOrEqual(wanted)
    await own.kill9()
    await own.restart()
  }
  const { end } = await fixture.bus.bounds('decisions', 0)
  const committed = async (): Promise<number | undefined> => {
    // What is gathered comes of age.
    fixture.clock.advanceMs(newest.segmentAge)
    return (await fixture.bus.committed('decisions', 'writer-segments', 0))?.offset
  }
  await expect.poll(committed, waits).toBe(end)
  await expectExactlyOnce(fixture, spans)
})

/** HTTP requests by operation, of which bills and delays are made. */
async function requestsOf(metrics: Metrics): Promise<Record<string, number>> {
  const sums: Record<string, number> = {}
  for (const { labels, value } of (await metrics.blobRequests.get()).values) {
    const { operation = '' } = labels as Record<string, string>
    sums[operation] = (sums[operation] ?? 0) + value
  }
  return sums
}

test.runIf(s3 !== undefined)('a look-up of `why` is as many requests as it is reads', async () => {
  const metrics = new Metrics()
  const blobs = await openS3Store(s3 as TestS3, { metrics })
  onTestFinished(() => blobs.close())
  const fixture = new LookupFixture(() => blobs)
  onTestFinished(() => fixture.stop())
  const of = (day: number, n: number) =>
    decisionOn(n, { decidedAtMs: todayMs - day * dayMs, revision: 1 })
  const offset = await fixture.decide(1, { revision: 7 })
  await fixture.decide(2)
  await fixture.snapshot([
    [1, offset],
    [3, 900],
  ])
  for (const day of [1, 2, 3]) await fixture.day(day, [of(day, 10 * day), of(day, 10 * day + 1)])

  const told: string[] = []
  const look = async (what: string, n: number, operationsMax: number): Promise<void> => {
    metrics.blobRequests.reset()
    const lookup = await fixture.lookup()
    const { decision } = await lookup.find('default', traceIdOf(n))
    expect(decision?.traceId, what).toBe(traceIdOf(n))
    const sums = await requestsOf(metrics)
    const requests = Object.values(sums).reduce((sum, count) => sum + count, 0)
    expect(requests, what).toBe(fixture.reads.length)
    expect(requests, what).toBeLessThanOrEqual(operationsMax)
    told.push(`${what}: ${JSON.stringify(sums)}`)
  }
  await look('remembered by the sampler', 1, 3)
  for (const day of [1, 2, 3]) await look(`dropped ${day} days ago`, 10 * day, 2 * day + 7)
  console.log(told.join('\n'))
})
