import { ManualClock } from '@winnow/runtime'
import {
  defaultHotLife,
  eraseFromSegment,
  type HeldTrace,
  type HotStore,
  hotGroups,
  ledgerRow,
  MemoryBlobStore,
  MemoryHotStore,
  type SegmentMetadata,
  writeSegment,
} from '@winnow/storage'
import { beforeEach, expect, test } from 'vitest'
import {
  sampleDecision,
  sampleSlice,
  sampleTimeMs,
  sampleTrace,
  sampleTraceId,
} from '../../../../packages/storage/src/samples.ts'
import { type AuditReport, audit, underWayMs } from './audit.ts'
import { auditText } from './audit-text.ts'
import { expiryEdgeMs, tracesComparedMax } from './hot-audit.ts'

const dayMs = 86_400_000
const livesMs = { warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs }
const today = `hot/${new Date(sampleTimeMs).toISOString().slice(0, 10)}`
const nameOf = (n: number): string => `${today}/default/${sampleTraceId(n)}`

let clock: ManualClock
let blobs: MemoryBlobStore
let hot: MemoryHotStore

beforeEach(() => {
  clock = new ManualClock()
  clock.advanceMs(sampleTimeMs)
  blobs = new MemoryBlobStore(clock)
  hot = new MemoryHotStore()
})

type Changes = Parameters<typeof sampleDecision>[1] & { readonly bytesWritten?: number }

/** One segment of the ledger whose decisions begin at offset `a`; what is kept is as large as `sampleTrace`. */
async function writeLedger(a: number, decisions: readonly [n: number, changes?: Changes][]) {
  const rows = decisions.map(([n, { bytesWritten, ...changes } = {}], at) => {
    const decision = sampleDecision(n, { spanCount: 2, ...changes })
    const bytes = bytesWritten ?? bytesOf(n)
    const isKept = decision.verdict === 'keep'
    return ledgerRow(decision, 3, a + at, { slices: isKept ? 1 : 0, bytes: isKept ? bytes : 0 })
  })
  const metadata: SegmentMetadata = {
    v: 1,
    tier: 'ledger',
    partition: 3,
    logId: 'log-1',
    a,
    b: a + rows.length - 1,
    after: { claim: 0, next: 1 },
    rows: { ledger: rows.length, warm: 0, cold: 0 },
    digest: 'd'.repeat(64),
  }
  const { key } = await writeSegment(blobs, sampleTimeMs, metadata, { tier: 'ledger', rows })
  return key
}

function bytesOf(n: number): number {
  return sampleTrace(n).bodies.reduce((sum, { bytes }) => sum + bytes.length, 0)
}

function look(changes: Partial<Parameters<typeof audit>[1]> = {}): Promise<AuditReport> {
  const nowMs = sampleTimeMs + underWayMs
  return audit(blobs, {
    livesMs,
    nowMs,
    isFull: false,
    hot: { store: hot, life: defaultHotLife },
    ...changes,
  })
}

function named({ findings }: AuditReport): [string, string][] {
  return findings.map(({ kind, key }): [string, string] => [kind, key]).sort()
}

test('what hot has and what the ledger says are the same, in traces, spans and bytes', async () => {
  await writeLedger(0, [[1], [2, { verdict: 'drop', write: [] }], [3]])
  await hot.put([sampleTrace(1, 0), sampleTrace(3, 2)])
  const report = await look()
  const sums = { traces: 2, spans: 4, bytes: bytesOf(1) + bytesOf(3) }
  expect(report).toMatchObject({ agrees: true, hot: { ledger: sums, held: sums } })
  expect(report.hot?.days.length).toBe(1)
  expect((await look({ hot: undefined })).hot).toBe(null)
})

test('a trace that hot lacks, one too many, and one without its spans are named', async () => {
  await writeLedger(0, [[1], [2], [3, { spanCount: 3 }], [4, { bytesWritten: 1 }]])
  await hot.put([sampleTrace(2, 1), sampleTrace(3, 2), sampleTrace(4, 3), sampleTrace(5, 0)])
  const report = await look()
  expect(named(report)).toEqual([
    ['damaged', nameOf(4)],
    ['damaged', nameOf(3)],
    ['missing', nameOf(1)],
    ['orphan', nameOf(5)],
  ])
  const { ledger, held } = report.hot ?? {}
  expect(held?.traces).toBe(ledger?.traces)
  expect((held?.spans ?? 0) - (ledger?.spans ?? 0)).toBe(-2 + 2 - 1)
  const bytes = bytesOf(5) - bytesOf(1) + bytesOf(4) - 1
  expect(report.hot?.differenceBytes).toBe(bytes)
})

test('a trace that nobody finds is missing, though its spans are there', async () => {
  await writeLedger(0, [[1]])
  await hot.put([sampleTrace(1, 0)])
  const store = Object.assign(new MemoryHotStore(), {
    census: async (...of: Parameters<HotStore['census']>) => {
      const { groups } = await hot.census(...of)
      return { groups: groups.map(group => ({ ...group, traces: 0 })), strays: 0 }
    },
    held: async (...of: Parameters<HotStore['held']>) =>
      (await hot.held(...of)).map(trace => ({ ...trace, isFound: false })),
  })
  const report = await look({ hot: { store, life: defaultHotLife } })
  expect(named(report)).toEqual([['missing', nameOf(1)]])
  expect(report.hot?.differenceBytes).toBe(0)
})

test('what lies behind the ledger’s last segment is under way for both', async () => {
  await writeLedger(0, [[1], [2, { verdict: 'drop', write: [] }]])
  // One that is new, one that has been rescued, and one that was decided on again.
  const again = sampleTrace(1, 11, 3, { revision: 2 })
  const rescued = sampleTrace(2, 12, 2, { revision: 2 })
  await hot.put([sampleTrace(1, 0), again, rescued, sampleTrace(3, 13)])
  expect(await look()).toMatchObject({ agrees: true, findings: [] })
  // A segment that is too young to be believed is as if it were not there.
  clock.advanceMs(1)
  await writeLedger(2, [[9]])
  expect(await look()).toMatchObject({ agrees: true })
  expect(named(await look({ nowMs: clock.nowMs() + underWayMs }))).toEqual([['missing', nameOf(9)]])
})

test('where its writer has stopped before the ledger’s end, what hot has yet to be given is not missing', async () => {
  await writeLedger(0, [[1], [2]])
  await writeLedger(2, [[3], [4]])
  await hot.put([sampleTrace(1, 0), sampleTrace(2, 1), sampleTrace(3, 2)])
  const lookAt = (next: number | undefined) => {
    const nextOf = ({ partition, logId }: { partition: number; logId: string }) =>
      partition === 3 && logId === 'log-1' ? next : 0
    return look({ hot: { store: hot, life: defaultHotLife, next: nextOf } })
  }
  // The third may have been put without a commit.
  for (const next of [2, 3]) {
    const report = await lookAt(next)
    expect(report).toMatchObject({ agrees: true, hot: { behind: 4 - next, held: { traces: 2 } } })
    expect(auditText(report)).toContain(`be given ${4 - next} records of decisions`)
  }
  expect(await lookAt(0)).toMatchObject({ agrees: true, hot: { behind: 4, held: { traces: 0 } } })
  for (const next of [4, undefined]) {
    const report = await lookAt(next)
    expect(named(report)).toEqual([['missing', nameOf(4)]])
    expect(report.hot?.behind).toBe(0)
  }
})

test('of a log that the ledger does not know yet, an hour’s decisions are under way', async () => {
  await hot.put([{ ...sampleTrace(1, 0), logId: 'log-2' }])
  const decidedAtMs = sampleTrace(1).decision.decidedAtMs
  const dueMs = decidedAtMs + underWayMs + 3_600_000
  expect(await look({ nowMs: dueMs })).toMatchObject({ agrees: true })
  expect(named(await look({ nowMs: dueMs + 1 }))).toEqual([['orphan', nameOf(1)]])
})

test('a trace of several revisions counts once, a late keep with all its slices', async () => {
  await writeLedger(0, [[1, { verdict: 'drop', write: [] }], [2]])
  const more = {
    revision: 2,
    slices: [sampleSlice(2), sampleSlice(9)],
    sliceCount: 2,
    spanCount: 3,
  }
  await writeLedger(2, [
    [1, { revision: 2 }],
    [2, { ...more, bytesWritten: 7 }],
  ])
  const second = sampleTrace(2, 3, 3, { revision: 2 })
  const body = { ref: '3:9:0', bytes: new Uint8Array(7) }
  await hot.put([sampleTrace(1, 2), sampleTrace(2, 1), { ...second, bodies: [body] }])
  const report = await look()
  expect(report).toMatchObject({ agrees: true, findings: [] })
  expect(report.hot?.ledger).toEqual({ traces: 2, spans: 5, bytes: bytesOf(1) + bytesOf(2) + 7 })
})

test('slices that had left the bus may have rows or not, a keep whose bytes are gone has none', async () => {
  const slices = [sampleSlice(1), sampleSlice(2)]
  await writeLedger(0, [
    [1, { slices, sliceCount: 2, spanCount: 4 }],
    [2, { gone: true }],
    [3, { slices: [], write: [], sliceCount: 0 }],
  ])
  await hot.put([sampleTrace(1, 0)])
  expect(await look()).toMatchObject({ agrees: true, hot: { held: { traces: 1, spans: 2 } } })
})

test('text that was too old to be held in hot is not missed', async () => {
  const changes = { decidedAtMs: sampleTimeMs + dayMs }
  await writeLedger(0, [[1, changes]])
  await hot.put([{ ...sampleTrace(1, 0, 2, changes), bodies: [] }])
  expect(await look({ nowMs: sampleTimeMs + 2 * dayMs })).toMatchObject({ agrees: true })
})

test('what was erased is not missed, and is named where hot still has it', async () => {
  const key = await writeLedger(0, [[1], [2]])
  await writeLedger(2, [[3, { verdict: 'drop', write: [] }]])
  await hot.put([sampleTrace(1, 0), sampleTrace(2, 1)])
  const isErased = (_: string, traceId: string): boolean => traceId === sampleTraceId(1)
  clock.advanceMs(underWayMs)
  // The object is made anew, and no younger for that.
  await eraseFromSegment(blobs, key, { id: 'e1', isErased })
  const still = await look()
  expect(still.findings).toMatchObject([
    { kind: 'orphan', key: nameOf(1), says: 'it has been erased' },
  ])
  await hot.erase('default', [sampleTraceId(1)])
  expect(await look()).toMatchObject({ agrees: true, hot: { held: { traces: 1 } } })
})

test('a segment that was made anew is believed where a later one is, and none behind one that is under way', async () => {
  const first = await writeLedger(0, [[1], [2]])
  clock.advanceMs(1)
  await writeLedger(2, [[3]])
  const last = await writeLedger(3, [[4], [5]])
  const isErased = (_: string, traceId: string): boolean =>
    traceId === sampleTraceId(1) || traceId === sampleTraceId(4)
  clock.advanceMs(underWayMs - 1)
  for (const key of [first, last]) await eraseFromSegment(blobs, key, { id: 'e1', isErased })
  // Hot has not caught up with the last one.
  await hot.put([sampleTrace(2, 1), sampleTrace(3, 2)])
  expect(await look()).toMatchObject({ agrees: true, hot: { held: { traces: 0 } } })
  const later = await look({ nowMs: clock.nowMs() + 1 })
  expect(later).toMatchObject({ agrees: true, hot: { held: { traces: 2 } } })
  const whole = await look({ nowMs: clock.nowMs() + underWayMs })
  expect(named(whole)).toEqual([['missing', nameOf(5)]])
})

test('an hour-old log of which every segment was made anew is under way, and nothing of it an orphan', async () => {
  const key = await writeLedger(0, [[1], [2]])
  await hot.put([sampleTrace(2, 1)])
  clock.advanceMs(dayMs / 2)
  const isErased = (_: string, traceId: string): boolean => traceId === sampleTraceId(1)
  await eraseFromSegment(blobs, key, { id: 'e1', isErased })
  expect(await look({ nowMs: clock.nowMs() })).toMatchObject({ agrees: true })
  const later = await look({ nowMs: clock.nowMs() + underWayMs })
  expect(later).toMatchObject({ agrees: true, hot: { held: { traces: 1 } } })
})

test('a segment that had an erasure and is damaged is named once, and ends no audit', async () => {
  const key = await writeLedger(0, [[1], [2]])
  await hot.put([sampleTrace(2, 1)])
  const isErased = (_: string, traceId: string): boolean => traceId === sampleTraceId(1)
  await eraseFromSegment(blobs, key, { id: 'e1', isErased })
  await blobs.rewrite(key, async bytes => bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte)))
  const report = await look({ nowMs: clock.nowMs() + underWayMs })
  expect(named(report)).toEqual([
    ['damaged', key],
    ['orphan', nameOf(2)],
  ])
})

test('a day of which hot has nothing is one finding, until it is about to expire', async () => {
  await writeLedger(0, [[1], [2]])
  expect((await look()).findings).toMatchObject([
    { kind: 'missing', key: today, says: 'the ledger keeps 2 traces of this day' },
  ])
  const overMs = sampleTimeMs - (sampleTimeMs % dayMs) + dayMs + defaultHotLife.tracesMs
  expect((await look({ nowMs: overMs - expiryEdgeMs - 1 })).agrees).toBe(false)
  expect(await look({ nowMs: overMs - expiryEdgeMs })).toMatchObject({ agrees: true })
})

test('a segment whose columns are damaged is named once, and what it says of hot is not known', async () => {
  const key = await writeLedger(0, [[1]])
  await hot.put([sampleTrace(1, 0)])
  await blobs.rewrite(key, async bytes => bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte)))
  const report = await look({ nowMs: clock.nowMs() + underWayMs })
  expect(named(report)).toEqual([
    ['damaged', key],
    ['orphan', nameOf(1)],
  ])
})

/** A store that has so many traces in two groups, of which the ledger knows none. */
function storeOf(counts: readonly number[], listed: readonly HeldTrace[]): HotStore {
  const nothing = { traces: 0, later: 0, spans: 0, bytes: 0 }
  const groups = hotGroups.map((_, at) => ({ ...nothing, traces: counts[at] ?? 0 }))
  return Object.assign(new MemoryHotStore(), {
    census: async (dayStartMs: number) => ({
      groups:
        dayStartMs <= sampleTimeMs && sampleTimeMs < dayStartMs + dayMs
          ? groups
          : hotGroups.map(() => nothing),
      strays: 0,
    }),
    held: async () => listed,
  })
}

test('so many traces are compared one by one, and of more it is said that they differ', async () => {
  const looked = (counts: readonly number[]) =>
    look({ hot: { store: storeOf(counts, []), life: defaultHotLife } })
  expect((await looked([tracesComparedMax - 1, 1])).counts).toEqual({})
  const more = await looked([tracesComparedMax, 1])
  expect(more.findings).toMatchObject([
    {
      kind: 'differing',
      key: today,
      says: 'in 1 of 256 groups the counts differ, of more traces than are compared at once',
    },
  ])
})

test('a group that has more traces than are listed is not compared', async () => {
  const list = (length: number) => {
    const one = { tenant: 'default', isFound: true, isWithin: false, spans: 1, bytes: 1 }
    return Array.from({ length }, (_, n) => ({ ...one, traceId: sampleTraceId(n) }))
  }
  const looked = (length: number) =>
    look({ hot: { store: storeOf([1], list(length)), life: defaultHotLife } })
  expect((await looked(19_999)).counts).toEqual({})
  expect((await looked(20_000)).findings).toMatchObject([
    { kind: 'differing', says: 'group 00 has 20000 traces or more: they are not compared' },
  ])
})
