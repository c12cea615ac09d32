import { ManualClock } from '@winnow/runtime'
import {
  emptyPack,
  type LedgerRow,
  MemoryBlobStore,
  readAllLedger,
  writeSegment,
} from '@winnow/storage'
import { expect, test } from 'vitest'
import { emptyRangeAgeMs, writerConfigSchema } from './config.ts'
import type { FoldedRecord } from './decisions-reader.ts'
import type { KeptSpans } from './kept-reader.ts'
import { OpenSegment, type SegmentRange, sha256 } from './open-segment.ts'
import { loggedOn, sliceAt, traceIdOf } from './writer.fixture.ts'

const config = { ...writerConfigSchema.parse({}), segmentDecisions: 4, segmentAge: 60_000 }

const nothing: KeptSpans = {
  spans: emptyPack,
  bodies: [],
  slicesRead: 0,
  bytesRead: 0,
  spansGone: 0,
  spansAside: 0,
}

const record = (offset: number, isDecision = true): FoldedRecord => ({
  offset,
  appendedAtMs: 1_000 + offset,
  value: Buffer.from(`record ${offset}`),
  logged: isDecision ? loggedOn(traceIdOf(offset)) : undefined,
  after: { claim: 0, next: offset },
})

function filled(offsets: readonly number[]): OpenSegment {
  const open = new OpenSegment(3, offsets[0] ?? 0)
  for (const offset of offsets) open.add(record(offset), [nothing], 0)
  return open
}

/** As it would be written, in the order of the log. */
async function ledgerOf({ a, b, after, ledger }: SegmentRange): Promise<LedgerRow[]> {
  const blobs = new MemoryBlobStore(new ManualClock())
  const rows = { ledger: ledger.count, warm: 0, cold: 0 }
  const range = { v: 1, partition: 3, logId: 'log', a, b, after, rows, digest: '' } as const
  const { key } = await writeSegment(blobs, 0, { ...range, tier: 'ledger' }, ledger)
  const read = await readAllLedger(blobs, key)
  return read.toSorted((one, other) => one.sampling_offset - other.sampling_offset)
}

test('due by count at the limit, not one before', () => {
  const open = filled([5, 6, 7])
  expect(open.due(config, 0)).toBe(false)
  open.add(record(8, false), [nothing], 0)
  expect(open.due(config, 0)).toBe(true)
})

test('due by age at the limit, not a millisecond before, from the oldest decision on', () => {
  const open = new OpenSegment(3, 5)
  open.add(record(5, false), [nothing], 0)
  open.add(record(6), [nothing], 1_000)
  open.add(record(7), [nothing], 2_000)
  expect(open.due(config, 60_999)).toBe(false)
  expect(open.due(config, 61_000)).toBe(true)
})

test('due by memory at the limit, not a byte below', () => {
  const open = filled([5])
  expect(open.due({ ...config, segmentBytes: open.bytes + 1 }, 0)).toBe(false)
  expect(open.due({ ...config, segmentBytes: open.bytes }, 0)).toBe(true)
})

test('a range without a decision joins the next one, for a day', () => {
  const open = new OpenSegment(3, 5)
  expect(open.due(config, Number.MAX_SAFE_INTEGER)).toBe(false)
  open.add(record(5, false), [nothing], 0)
  expect(open.due(config, emptyRangeAgeMs - 1)).toBe(false)
  expect(open.due(config, emptyRangeAgeMs)).toBe(true)
  expect(open.isWritable).toBe(false)
  for (const offset of [6, 7, 8]) open.add(record(offset, false), [nothing], 0)
  expect(open.due(config, 0)).toBe(true)
})

test('while another’s b is not reached nothing is due, and then it is at once', () => {
  const open = filled([5, 6, 7, 8])
  open.waitFor(9)
  expect([open.due(config, 1e9), open.isWritable]).toEqual([false, false])
  open.add(record(9, false), [nothing], 0)
  expect([open.due(config, 0), open.isWritable]).toEqual([true, true])
  open.forgetThrough(9)
  open.add(record(10), [nothing], 0)
  expect(open.due(config, 0)).toBe(false)
})

test('a range is what was read from a to b, with the state behind b', async () => {
  const open = filled([5, 6, 8])
  expect(open.range()).toMatchObject({
    a: 5,
    b: 8,
    first: { offset: 5, appendedAtMs: 1_005 },
    digest: sha256(Buffer.from('record 5')),
    after: { claim: 0, next: 8 },
    isCut: true,
  })
  expect(open.range(6)).toMatchObject({ a: 5, b: 6, isCut: false })
  const offsets = async (range: SegmentRange): Promise<number[]> =>
    (await ledgerOf(range)).map(row => row.sampling_offset)
  expect(await offsets(open.range())).toEqual([5, 6, 8])
  expect(open.range(7)).toMatchObject({ a: 5, b: 7, after: { claim: 0, next: 6 } })
  expect(await offsets(open.range(7))).toEqual([5, 6])
  expect(() => open.range(4)).toThrow(/no record in \[5, 4\]/)
})

test('what is behind a written range stays, with its memory and its age', async () => {
  const open = filled([5, 6])
  const { bytes } = open
  open.add(record(7), [nothing], 500)
  open.add(record(8), [nothing], 900)
  open.forgetThrough(6)
  expect([open.a, open.next, open.bytes]).toEqual([7, 9, bytes])
  // The record's bytes were borrowed: whoever needs its digest has to read it again.
  expect(open.range()).toMatchObject({ a: 7, b: 8, digest: undefined })
  expect((await ledgerOf(open.range())).map(row => row.sampling_offset)).toEqual([7, 8])
  expect(open.due(config, 60_499)).toBe(false)
  expect(open.due(config, 60_500)).toBe(true)
  open.forgetThrough(8)
  expect([open.a, open.next, open.bytes, open.isEmpty]).toEqual([9, 9, 0, true])
})

test('it begins elsewhere only while nothing is gathered', () => {
  const open = new OpenSegment(3, 5)
  open.beginAt(9)
  expect([open.a, open.next]).toEqual([9, 9])
  open.add(record(9), [nothing], 0)
  expect(() => open.beginAt(12)).toThrow(/\[9, 10\) is gathered already/)
})

test('the ledger says how many slices were written and their bytes, which may be fewer than were wanted', async () => {
  const open = new OpenSegment(3, 5)
  const slices = [sliceAt({ offset: 1 }), sliceAt({ offset: 2 })]
  const logged = loggedOn(traceIdOf(5), { slices })
  open.add(
    { ...record(5), logged },
    [{ ...nothing, slicesRead: 1, bytesRead: 700, spansGone: 4 }],
    0,
  )
  const pieces = [
    { ...nothing, slicesRead: 1, bytesRead: 600 },
    { ...nothing, slicesRead: 1, bytesRead: 50, spansAside: 3 },
  ]
  open.add({ ...record(6), logged }, pieces, 0)
  const { spansGone, spansAside } = open.range()
  const ledger = await ledgerOf(open.range())
  expect(ledger.map(row => row.slices_written)).toEqual([1, 2])
  expect(ledger.map(row => row.bytes_written)).toEqual([700, 650])
  // By log time alone, never by a read: so every reader agrees on it.
  expect(ledger.map(row => row.gone)).toEqual([false, false])
  expect([spansGone, spansAside]).toEqual([4, 3])
})
