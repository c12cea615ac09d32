import { ManualClock } from '@winnow/runtime'
import {
  defaultHotLife,
  holdKey,
  MemoryBlobStore,
  MemoryHotStore,
  snapshotKey,
} from '@winnow/storage'
import { expect, test } from 'vitest'
import { AgeAudit, type AgeOptions, ageFindingsMax } from './age.ts'
import { ageText } from './age-text.ts'

const dayMs = 86_400_000
const nowMs = Date.UTC(2026, 10, 21, 12)
const livesMs = { warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs }

function auditOf(changes: Partial<AgeOptions> = {}): AgeAudit {
  return new AgeAudit({ hotLife: defaultHotLife, livesMs, nowMs, graceMs: 0, ...changes })
}

async function blobsWith(keys: readonly string[], madeAtMs = nowMs): Promise<MemoryBlobStore> {
  const clock = new ManualClock()
  clock.advanceMs(madeAtMs)
  const blobs = new MemoryBlobStore(clock)
  for (const key of keys) await blobs.create(key, Buffer.from('some bytes'))
  return blobs
}

const name = (tier: string, date: string): string =>
  `${tier}/date=${date}/p=0000/log-000000000001.parquet`

test('an object is due when all of its day is as old as its tier allows, and not a day before', async () => {
  // 30 days before noon of the 21st: the 21st of October is over on the 22nd, so 20 is due and 21 not.
  const blobs = await blobsWith([name('warm', '2026-10-20'), name('warm', '2026-10-22')])
  const audit = auditOf()
  await audit.blobs(blobs)
  expect(audit.report()).toMatchObject({
    agrees: false,
    counts: { overdue: 1 },
    findings: [{ kind: 'overdue', key: name('warm', '2026-10-20'), bytes: 10 }],
  })
  expect(ageText(audit.report())).toContain(
    '✗ overdue warm/date=2026-10-20/p=0000/log-000000000001.parquet: warm of 2026-10-20 was due on 2026-11-20T00:00:00.000Z',
  )
})

test('the grace is a time at whose end it is due', async () => {
  const blobs = await blobsWith([name('warm', '2026-10-21')])
  for (const [graceMs, agrees] of [
    [12 * 3_600_000, false],
    [12 * 3_600_000 + 1, true],
  ] as const) {
    const audit = auditOf({ graceMs })
    await audit.blobs(blobs)
    expect(audit.report().agrees).toBe(agrees)
  }
})

test('every folder has its life: ledger, cold, ids by their date, snapshots by when they were made', async () => {
  const old = '2025-11-01'
  const snapshot = snapshotKey({ partition: 0, logId: 'log', nextOffset: 1 })
  const ids = `ids/p=0000/${old}-log-000000000001-000000000001.idx`
  const keys = [name('ledger', old), name('cold', old), name('warm', old), ids, snapshot]
  const audit = auditOf()
  await audit.blobs(await blobsWith(keys, Date.parse(`${old}T00:00:00Z`)))
  expect(
    audit
      .report()
      .findings.map(({ key }) => key)
      .sort(),
  ).toEqual(keys.toSorted())
})

test('what was made long before the day in its name is older than it says', async () => {
  const key = name('warm', '2026-11-20')
  const audit = auditOf()
  await audit.blobs(await blobsWith([key], nowMs - 40 * dayMs))
  expect(audit.report().findings).toMatchObject([{ kind: 'older', key }])
})

test('a name that says nothing of its age is named, and what other folders hold is not', async () => {
  const audit = auditOf()
  await audit.blobs(await blobsWith(['warm/copy.parquet', 'exports/anything.parquet']))
  expect(audit.report()).toMatchObject({
    counts: { foreign: 1 },
    findings: [{ kind: 'foreign', key: 'warm/copy.parquet' }],
  })
})

test('a hold within its end is no fault, one past it is overdue, and a name that says no end is foreign', async () => {
  const hold = { id: '5c1e09b2f3a47d68', traceId: '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f' }
  const within = holdKey('acme', { ...hold, untilMs: nowMs + 1_000 })
  const past = holdKey('acme', { ...hold, untilMs: nowMs })
  // Made long ago: that is what a hold is for.
  const blobs = await blobsWith([within], nowMs - 700 * dayMs)
  const audit = auditOf()
  await audit.blobs(blobs)
  expect(audit.report()).toMatchObject({ agrees: true, findings: [] })
  expect(audit.report().places.at(-1)).toMatchObject({ where: 'holds', objects: 1, lifeMs: null })
  await blobs.create(past, Buffer.from('some bytes'))
  await blobs.create('holds/copy.hold', Buffer.from('some bytes'))
  const second = auditOf()
  await second.blobs(blobs)
  expect(second.report()).toMatchObject({
    agrees: false,
    findings: [
      {
        kind: 'overdue',
        key: past,
        says: `the hold of ${hold.traceId} was due on 2026-11-21T12:00:00.000Z`,
      },
      { kind: 'foreign', key: 'holds/copy.hold' },
    ],
  })
  expect(ageText(second.report())).toMatch(/holds +2 +20 +its end +2026-11-21T12:00:00.000Z/)
})

test('an index of a day that has an older trace is named by what it holds', async () => {
  const hot = new MemoryHotStore()
  const period = { kind: 'traces', startMs: nowMs - (nowMs % dayMs) } as const
  const oldestMs = nowMs - 20 * dayMs
  hot.periods = async () => [
    { name: 'traces-today', period, bytes: 7, oldestMs },
    { name: 'notes.txt', period: undefined, bytes: 3 },
  ]
  const audit = auditOf()
  await audit.hot(hot)
  expect(audit.report().findings).toMatchObject(
    [
      { kind: 'older', key: 'traces-today', says: /it has a trace of 2026-11-01T12:00:00.000Z/ },
      { kind: 'foreign', key: 'notes.txt' },
    ].map(({ says, ...rest }) => ({ ...rest, ...(says && { says: expect.stringMatching(says) }) })),
  )
})

test('so many findings are named, and one more is counted alone', async () => {
  const keys = Array.from({ length: ageFindingsMax + 1 }, (_, n) => `warm/${n}.parquet`)
  for (const [count, counted] of [
    [ageFindingsMax, ageFindingsMax],
    [ageFindingsMax + 1, ageFindingsMax + 1],
  ] as const) {
    const audit = auditOf()
    await audit.blobs(await blobsWith(keys.slice(0, count)))
    const report = audit.report()
    expect(report.findings.length).toBe(ageFindingsMax)
    expect(report.counts.foreign).toBe(counted)
  }
})

test('rules of the bucket: as configured, other, unused, unsupported', () => {
  const stateOf = (problems: Parameters<AgeAudit['lifecycle']>[0], isWanted: boolean) => {
    const audit = auditOf()
    audit.lifecycle(problems, isWanted)
    const { lifecycle, agrees } = audit.report()
    return [lifecycle, agrees]
  }
  expect(stateOf([], true)).toEqual(['as configured', true])
  expect(stateOf([], false)).toEqual(['unused', true])
  expect(stateOf(undefined, true)).toEqual(['unsupported', true])
  expect(stateOf([{ rule: 'winnow-warm', says: 'absent' }], true)).toEqual(['other', false])
})
