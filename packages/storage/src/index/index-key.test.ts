import { expect, test } from 'vitest'
import { checkBlobKey } from '../blob-key.ts'
import { segmentLogIdLengthMax } from '../segments/segment-key.ts'
import {
  idIndexKey,
  parseIdIndexKey,
  parseSnapshotKey,
  rangeDigitsMax,
  snapshotKey,
} from './index-key.ts'

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
  const some = { ...month, ids: { from: '5f3a', before: '8c' } }
  expect(idIndexKey(some)).toBe(
    'ids/p=0003/2026-10-21_2026-11-21-log-1-000000000100-000000000200.5f3a-8c.idx',
  )
  expect(parseIdIndexKey(idIndexKey(some))).toEqual(some)
})

test('a range of ids has as many digits as fit a name: rangeDigitsMax', () => {
  for (const length of [1, 82, 83, segmentLogIdLengthMax]) {
    const logId = 'x'.repeat(length)
    const digits = rangeDigitsMax(logId)
    const range = { from: '8'.repeat(digits), before: '9'.repeat(digits) }
    const name = { ...ids, date: '2026-10-21', logId, ids: range }
    checkBlobKey(idIndexKey(name))
    expect(parseIdIndexKey(idIndexKey(name))).toEqual(name)
  }
  expect([82, 83].map(length => rangeDigitsMax('x'.repeat(length)))).toEqual([32, 31])
  expect(rangeDigitsMax('x'.repeat(segmentLogIdLengthMax))).toBe(9)
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
    'ids/p=0003/2026-11-21-log-000000000001-000000000002.8c-5f3a.idx',
    'ids/p=0003/2026-11-21-log-000000000001-000000000002.8c-8c.idx',
    'ids/p=0003/2026-11-21-log-000000000001-000000000002.8c.idx',
    'ids/p=0003/2026-11-21-log-000000000001-000000000002.0-G.idx',
    `ids/p=0003/2026-11-21-log-000000000001-000000000002.0-${'1'.repeat(33)}.idx`,
    'warm/date=2026-11-21/p=0003/log-000000000001.parquet',
  ]) {
    expect([parseSnapshotKey(key), parseIdIndexKey(key)], key).toEqual([undefined, undefined])
  }
})
