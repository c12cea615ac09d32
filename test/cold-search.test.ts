// `winnow search --tier cold` over a day by filter, counted in requests and bytes at the blob store's port: a day of a
// segment every quarter of an hour, as on Kafka, with the day before it, whose segments may reach into it.
import { ManualClock, systemClock } from '@winnow/runtime'
import { type BlobStore, dateOf, ledgerRow, MemoryBlobStore, writeSegment } from '@winnow/storage'
import { expect, onTestFinished, test } from 'vitest'
import { ordinaryDecision } from './support/ordinary-decision.ts'
import { winnow } from './support/winnow-process.ts'
import { CountedBlobs, dayMs, isKept, startYearQuery, traceOf } from './support/year-of-days.ts'

const segmentsADay = 96
const perSegment = 1_000
const dayStartMs = Math.floor(systemClock.nowMs() / dayMs) * dayMs - 40 * dayMs
/** More than nine seconds: one in a hundred of the kept. */
const slowMs = 9_000

/** Two requests a segment, their list, and the rows of a page. */
const requestsMax = 2 * segmentsADay + 2 + 3 * 20
const bytesMax = segmentsADay * 100_000

async function writeDays(blobs: BlobStore, clock: ManualClock): Promise<void> {
  for (const [day, rowsEach] of [
    [-1, 10],
    [0, perSegment],
  ] as const) {
    for (let n = 0; n < segmentsADay; n++) {
      const a = (day + 1) * 1_000_000 + n * perSegment
      const atMs = dayStartMs + day * dayMs + (n * dayMs) / segmentsADay
      const rows = Array.from({ length: rowsEach }, (_, at) => decided(a + at, atMs + at))
      // A writer's age of fifteen minutes later.
      clock.advanceMs(atMs + dayMs / segmentsADay - clock.nowMs())
      const metadata = {
        v: 1,
        tier: 'ledger',
        partition: 0,
        logId: 'log-1',
        a,
        b: a + rowsEach - 1,
        after: { claim: 0, next: 1 },
        rows: { ledger: rowsEach, warm: 0, cold: 0 },
        digest: 'd'.repeat(64),
      } as const
      await writeSegment(blobs, atMs, metadata, { tier: 'ledger', rows })
    }
  }
}

function decided(n: number, decidedAtMs: number) {
  const { traceId } = traceOf(1_000, n)
  const verdict = isKept(n) ? 'keep' : 'drop'
  const durationMs = n % 500 === 0 ? slowMs + 1 : 800
  return ledgerRow(
    ordinaryDecision({ traceId, partition: 0, offset: n, decidedAtMs, durationMs, verdict }),
    0,
    n,
  )
}

test('a day of cold is searched by filter in two requests a segment of that day', async () => {
  const clock = new ManualClock()
  const blobs = new CountedBlobs(new MemoryBlobStore(clock))
  await writeDays(blobs, clock)
  const query = await startYearQuery(blobs)
  onTestFinished(() => query.stop())
  const args = ['search', '--tier', 'cold', '--since', dateOf(dayStartMs), '--limit', '20']
  const url = ['--url', `http://${query.address}`]
  const search = async (...filter: string[]) => {
    blobs.reset()
    const { code, stdout } = await winnow([...args, ...filter, '--json', ...url])
    expect(code).toBe(0)
    console.log(`${filter.join(' ')}: ${blobs.asked.length} requests, ${blobs.bytes} bytes`)
    expect(blobs.asked.length, blobs.asked.slice(0, 20).join('\n')).toBeLessThanOrEqual(requestsMax)
    expect(blobs.bytes).toBeLessThanOrEqual(bytesMax)
    return JSON.parse(stdout) as {
      readonly traces: readonly { readonly durationMs: number; readonly content: string }[]
      readonly tiersSearched: readonly string[]
      readonly complete: boolean
    }
  }
  const slow = await search('--min-duration-ms', String(slowMs))
  expect(slow).toMatchObject({ tiersSearched: ['cold'], complete: true })
  expect(slow.traces).toHaveLength(20)
  for (const one of slow.traces) {
    expect(one).toMatchObject({ durationMs: slowMs + 1, content: 'hashed' })
  }
  expect((await search('--rule', 'ordinary')).traces).toHaveLength(20)
  // Of the day before only what may reach into this one was read.
  const before = blobs.asked.filter(one => one.includes(dateOf(dayStartMs - dayMs)))
  expect(before.length, before.join('\n')).toBeLessThanOrEqual(1 + 2 * 6)
}, 600_000)
