import { expect, test } from 'vitest'
import { sampleTimeMs } from '../samples.ts'
import { dateOf, parseSegmentKey, segmentKey, segmentLogIdLengthMax } from './segment-key.ts'

test('a name is read back as it was made', () => {
  const names = [
    { tier: 'ledger', partition: 0, logId: 'a', offset: 0 },
    { tier: 'warm', partition: 3, logId: 'k_Zx-9.1', offset: 123_456 },
    { tier: 'cold', partition: 9_999, logId: 'log-000000000001', offset: 999_999_999_999 },
  ] as const
  for (const { tier, partition, logId, offset } of names) {
    const key = segmentKey(tier, sampleTimeMs, partition, logId, offset)
    expect(parseSegmentKey(key)).toEqual({ tier, date: '2026-11-21', partition, logId, offset })
  }
})

test('names sort as their offsets do', () => {
  const offsets = [0, 9, 10, 99, 100, 123_456_789, 999_999_999_999]
  const keys = offsets.map(offset => segmentKey('warm', sampleTimeMs, 1, 'log', offset))
  expect(keys.toSorted()).toEqual(keys)
})

test('what does not fit a name is refused with what would', () => {
  const longest = 'x'.repeat(segmentLogIdLengthMax)
  expect(segmentKey('warm', 0, 0, longest, 0)).toContain(longest)
  for (const logId of ['', `${longest}x`, 'a/b', '..', '-a', 'a b', 'ä', '.a']) {
    expect(() => segmentKey('warm', 0, 0, logId, 0), logId).toThrow(/CONFIG_INVALID.*log id/)
  }
  for (const number of [-1, 0.5, Number.NaN]) {
    expect(() => segmentKey('warm', 0, 0, 'a', number)).toThrow(/CONFIG_INVALID.*offset/)
    expect(() => segmentKey('warm', 0, number, 'a', 0)).toThrow(/CONFIG_INVALID.*partition/)
  }
  for (const time of [-1, Number.NaN, 253_402_300_800_000]) {
    expect(() => segmentKey('warm', time, 0, 'a', 0)).toThrow(/CONFIG_INVALID.*time/)
  }
  expect(dateOf(253_402_300_799_999)).toBe('9999-12-31')
})

test('a name it would not make is not one', () => {
  const good = 'warm/date=2026-11-21/p=0003/log-000000123456.parquet'
  expect(parseSegmentKey(good)).toBeDefined()
  const changes: [string, string][] = [
    ['warm', 'hot'],
    ['2026-11-21', '2026-11-31'],
    ['2026-11-21', '2026-1-21'],
    ['p=0003', 'p=3'],
    ['0000001', '1'],
    ['log', ''],
    ['.parquet', '.txt'],
    ['.parquet', '.parquet.tmp'],
    ['warm', 'x/warm'],
  ]
  for (const [from, to] of changes) {
    expect(parseSegmentKey(good.replace(from, to)), `${from} → ${to}`).toBeUndefined()
  }
})
