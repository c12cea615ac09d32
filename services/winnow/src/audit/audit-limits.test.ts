import { ManualClock } from '@winnow/runtime'
import { holdKey, MemoryBlobStore, type SegmentMetadata, writeSegment } from '@winnow/storage'
import { expect, test } from 'vitest'
import { audit, findingsMax, overdueGraceMs, underWayMs } from './audit.ts'

const dayMs = 86_400_000
const madeAtMs = Date.UTC(2026, 10, 21)
const livesMs = { warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs }

function store(): MemoryBlobStore {
  const clock = new ManualClock()
  clock.advanceMs(madeAtMs)
  return new MemoryBlobStore(clock)
}

/** A segment of the ledger alone, which says how many rows the warm one has. */
async function withLedger(warm: number): Promise<MemoryBlobStore> {
  const blobs = store()
  const metadata: SegmentMetadata = {
    v: 1,
    tier: 'ledger',
    partition: 0,
    logId: '1-log',
    a: 0,
    b: 0,
    after: { claim: 0, next: 1 },
    rows: { ledger: 0, warm, cold: 0 },
    digest: 'd'.repeat(64),
  }
  await writeSegment(blobs, madeAtMs, metadata, { tier: 'ledger', rows: [] })
  return blobs
}

const after = (blobs: MemoryBlobStore, ms: number) =>
  audit(blobs, { livesMs, nowMs: madeAtMs + ms, isFull: false })

test('findings are named up to findingsMax, and all are counted', async () => {
  const blobs = store()
  for (let at = 0; at < findingsMax; at++) await blobs.create(`warm/${at}.txt`, new Uint8Array(1))
  const most = await after(blobs, 0)
  expect([most.counts, most.findings.length]).toEqual([{ foreign: findingsMax }, findingsMax])
  await blobs.create('warm/another.txt', new Uint8Array(1))
  const more = await after(blobs, 0)
  expect([more.counts, more.findings.length]).toEqual([{ foreign: findingsMax + 1 }, findingsMax])
})

test('what the ledger promises may be under way for underWayMs, and is missing then', async () => {
  const blobs = await withLedger(3)
  expect(await after(blobs, underWayMs - 1)).toMatchObject({ agrees: true, counts: {} })
  const late = await after(blobs, underWayMs)
  expect(late).toMatchObject({ agrees: false, counts: { missing: 1 } })
  expect(late.findings[0]?.says).toBe('the ledger says that it has 3 rows')
})

test('a store that deletes once a day has overdueGraceMs for it', async () => {
  const blobs = await withLedger(0)
  const overMs = dayMs + livesMs.ledger + overdueGraceMs
  expect(await after(blobs, overMs - 1)).toMatchObject({ agrees: true, counts: {} })
  const over = await after(blobs, overMs)
  expect(over).toMatchObject({ agrees: false, counts: { overdue: 1 } })
})

test('a hold is counted where it lies, and another name beside it is foreign', async () => {
  const blobs = store()
  const held = { id: '0123456789abcdef', traceId: 'a'.repeat(32), untilMs: madeAtMs + dayMs }
  await blobs.create(holdKey('default', held), new Uint8Array(40))
  expect((await after(blobs, 0)).agrees).toBe(true)
  await blobs.create('holds/copy.hold', new Uint8Array(2))
  const { folders, findings } = await after(blobs, 0)
  expect(findings).toMatchObject([{ kind: 'foreign', key: 'holds/copy.hold' }])
  const folder = { where: 'holds/', listedBytes: 42, accountedBytes: 40, accountedObjects: 1 }
  expect(folders).toContainEqual(expect.objectContaining(folder))
})
