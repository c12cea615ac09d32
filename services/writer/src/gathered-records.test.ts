import { expect, test } from 'vitest'
import { type GatheredRecord, GatheredRecords } from './gathered-records.ts'

const recordOf = (n: number): GatheredRecord => ({
  offset: 10 + 2 * n,
  appendedAtMs: 1_795_244_400_000 + n,
  claim: n >> 8,
  next: n,
  readAtMs: 1_795_244_500_000 + n,
  decisions: n % 3 === 2 ? 1 : 0,
  spansGone: n % 5,
  spansAside: n % 7,
  spansErased: n % 11,
  bytes: 200 + n,
})

test('records are given back and summed, however many there are and wherever they are cut', () => {
  for (const count of [1, 1_024, 1_025, 5_000]) {
    const all = Array.from({ length: count }, (_, n) => recordOf(n))
    const records = new GatheredRecords()
    for (const record of all) records.push(record)
    for (const cut of [0, 1, count >> 1, count]) {
      expect(records.through(9 + 2 * cut)).toBe(cut)
      const expected = all.slice(0, cut).reduce((sum, { bytes }) => sum + bytes, 0)
      expect(records.sum('bytes', cut)).toBe(expected)
    }
    const left = all.slice(count >> 1)
    records.forgetFirst(count >> 1)
    expect(left.map((_, n) => records.at(n))).toEqual(left)
    expect([records.at(-1), records.at(left.length)]).toEqual([undefined, undefined])
    expect(records.decidedReadAtMs).toBe(left.find(({ decisions }) => decisions === 1)?.readAtMs)
    records.forgetFirst(left.length)
    expect([records.count, records.at(0), records.decidedReadAtMs]).toEqual([
      0,
      undefined,
      undefined,
    ])
    records.push(recordOf(3))
    expect(records.at(0)).toEqual(recordOf(3))
  }
})
