import { expect, test } from 'vitest'
import { idIndexKey, parseIdIndexKey, parseSnapshotKey, snapshotKey } from './index-key.ts'

const snapshot = { partition: 3, logId: 'log-1', nextOffset: 123_456 }
const date = '2026-11-21'
const ids = { partition: 3, date, lastDate: date, logId: 'log-1', first: 100, last: 200 }

test('a name says what the file is of, and comes back from its key', () => {
  expect(snapshotKey(snapshot)).toBe('index/p=0003/log-1-000000123456.idx')
  expect(parseSnapshotKey(snapshotKey(snapshot))).toEqual(snapshot)
  expect(idIndexKey(ids)).toBe('ids/p=0003/2026-11-21-log-1-000000000100-000000000200.idx')
  expect(parseIdIndexKey(idIndexKey(ids))).toEqual(ids)
  const month = { ...ids, date: '2026-10-21' }
  expect(idIndexKey(month)).toBe(
    'ids/p=0003/2026-10-21_2026-11-21-log-1-000000000100-000000000200.idx',
  )
  expect(parseIdIndexKey(idIndexKey(month))).toEqual(month)
})

test('names sort by offset, and by day', () => {
  const keys = [9, 10, 99_999_999_999, 999_999_999_999].map(nextOffset =>
    snapshotKey({ ...snapshot, nextOffset }),
  )
  expect(keys.toSorted()).toEqual(keys)
  const days = ['2026-09-30', '2026-10-01', '2027-01-01'].map(day =>
    idIndexKey({ ...ids, date: day, lastDate: day }),
  )
  expect(days.toSorted()).toEqual(days)
})

test('a log id may end in digits or dates without being taken for another', () => {
  for (const logId of ['a-000000000001', '2026-11-21', 'x'.repeat(128), 'a-2026-11-21-1']) {
    expect(parseSnapshotKey(snapshotKey({ ...snapshot, logId }))?.logId).toBe(logId)
    expect(parseIdIndexKey(idIndexKey({ ...ids, logId }))?.logId).toBe(logId)
    const month = { ...ids, date: '2026-10-21', logId }
    expect(parseIdIndexKey(idIndexKey(month))).toEqual(month)
  }
})

test('the greatest offset and partition fit a name, one more does not', () => {
  expect(snapshotKey({ partition: 9_999, logId: 'l', nextOffset: 999_999_999_999 })).toContain(
    'p=9999/l-999999999999',
  )
  for (const change of [
    { nextOffset: 1_000_000_000_000 },
    { nextOffset: -1 },
    { nextOffset: 0.5 },
    { partition: 10_000 },
    { logId: '' },
    { logId: 'a/b' },
    { logId: 'x'.repeat(129) },
  ]) {
    const wrong = { ...snapshot, ...change }
    expect(() => snapshotKey(wrong), JSON.stringify(change)).toThrow(/CONFIG_INVALID/)
  }
  expect(() => idIndexKey({ ...ids, date: '2026-02-30' })).toThrow(/CONFIG_INVALID/)
  expect(() => idIndexKey({ ...ids, lastDate: '2026-11-31' })).toThrow(/CONFIG_INVALID/)
})

test('other keys are none of ours', () => {
  for (const key of [
    'index/p=3/log-000000000001.idx',
    'index/p=0003/log-00000001.idx',
    'index/p=0003/log-000000000001.idx.bak',
    'index/p=0003/sub/log-000000000001.idx',
    'ids/p=0003/2026-11-31-log-000000000001-000000000002.idx',
    'ids/p=0003/2026-11-21-log-000000000002.idx',
    'ids/p=0003/2026-11-21_2026-11-21-log-000000000001-000000000002.idx',
    'ids/p=0003/2026-11-21_2026-11-20-log-000000000001-000000000002.idx',
    'ids/p=0003/2026-11-21_2026-11-31-log-000000000001-000000000002.idx',
    'warm/date=2026-11-21/p=0003/log-000000000001.parquet',
  ]) {
    expect([parseSnapshotKey(key), parseIdIndexKey(key)], key).toEqual([undefined, undefined])
  }
})
