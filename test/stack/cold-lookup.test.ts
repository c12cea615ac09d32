// A trace of any day of a year, asked for by its id and no date, over a real S3: every request that reaches the
// server is counted, by a proxy before it. `test/cold-lookup.test.ts` is the same on files.

import { Metrics } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import {
  CountedBlobs,
  type StoredTrace,
  startYearQuery,
  traceOf,
  writeYear,
  yearDays,
} from '../support/year-of-days.ts'
import { FaultProxy } from './fault-proxy.ts'
import { s3ForTest } from './s3/shared.ts'
import { openS3Store, s3Options } from './s3/store.ts'

const days = [30, 200, yearDays - 1]

test('a kept trace of any day is ten requests of S3 away, without the id indexes 400 and 8 MB', async ({
  skip,
}) => {
  const s3 = await s3ForTest(skip)
  const options = s3Options(s3)
  const direct = await openS3Store(s3, options)
  onTestFinished(() => direct.close())
  await writeYear(direct)
  const proxy = await FaultProxy.start(s3.endpoint)
  onTestFinished(() => proxy.close())

  /** By a query that has just started, so that it holds nothing of what it read before. */
  const found = async (
    daysAgo: number,
  ): Promise<{
    readonly trace: StoredTrace
    readonly requests: number
    readonly bytes: number
  }> => {
    const through = await openS3Store(s3, {
      ...options,
      endpoint: proxy.url,
      metrics: new Metrics(),
    })
    const blobs = new CountedBlobs(through)
    const query = await startYearQuery(blobs)
    try {
      blobs.reset()
      proxy.seen.length = 0
      const { traceId } = traceOf(daysAgo, 5)
      const response = await fetch(`http://${query.address}/api/v1/traces/${traceId}`)
      const trace = (await response.json()) as StoredTrace
      const requests = proxy.seen.length
      console.log(`${daysAgo} days ago: ${requests} requests, ${blobs.bytes} bytes`)
      // What the port counts is what the server was asked.
      expect(requests).toBe(blobs.asked.length)
      return { trace, requests, bytes: blobs.bytes }
    } finally {
      await query.stop()
      await through.close()
    }
  }
  const expectCold = (trace: StoredTrace): void => {
    expect(trace).toMatchObject({
      tier: 'cold',
      content: { level: 'hashed', missing: ['text', 'strings'] },
      why: { state: 'kept', searched: { complete: true, unreadable: [] } },
    })
    expect(trace.spans).toHaveLength(8)
  }

  for (const daysAgo of days) {
    const { trace, requests } = await found(daysAgo)
    expectCold(trace)
    expect(requests).toBeLessThanOrEqual(10)
  }
  for await (const { key } of direct.list('ids/')) await direct.delete(key)
  for (const daysAgo of days) {
    const { trace, requests, bytes } = await found(daysAgo)
    expectCold(trace)
    expect(requests).toBeLessThanOrEqual(400)
    expect(bytes).toBeLessThanOrEqual(8_000_000)
  }
})
