import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { cutIds } from './cut-ids.ts'
import { IdIndexBuilder, openIdIndex } from './id-index.ts'
import { hexOf, seededWords } from './index-files.fixture.ts'
import { everyId, type IdRange } from './index-key.ts'
import { blockRows, type SortedFile } from './sorted-file.ts'

const date = '2026-11-21'

/** An index of these traces, as one file. */
async function fileOf(offset: number, traces: readonly string[]): Promise<SortedFile> {
  const store = new MemoryBlobStore(new ManualClock())
  const builder = new IdIndexBuilder(traces.length)
  builder.beginSegment({ date, offset, bytes: 1 })
  for (const [row, id] of traces.entries()) builder.add('default', id, row)
  const { key } = await builder.write(store, { partition: 3, logId: 'log-1' })
  return (await openIdIndex(store, key)) as SortedFile
}

const word = seededWords(48)
const ids = {
  random: () => hexOf([word(), word(), word(), word()]),
  'of 64 bits': () => hexOf([0, 0, word(), word()]),
  'that begin with the time': () =>
    hexOf([0x6920_0000 + (word() % 86_400), word(), word(), word()]),
}

for (const [what, id] of Object.entries(ids)) {
  test(`ids ${what} are cut into ranges of as many rows as a file takes, every id in one of them`, async () => {
    const counts = [30_000, 9_000, 4_096, 1, 7]
    const all = counts.map(count => Array.from({ length: count }, id))
    const files = await Promise.all(all.map((one, n) => fileOf(n, one)))
    for (const rowsMax of [40_000, 25_000, 5 * blockRows]) {
      const ranges = cutIds(files, rowsMax, 32)
      expect(ranges.length).toBeGreaterThan(1)
      expect(ranges[0]?.from).toBe(everyId.from)
      expect(ranges.at(-1)?.before).toBe(everyId.before)
      for (const [n, { before }] of ranges.slice(0, -1).entries()) {
        expect(ranges[n + 1]?.from).toBe(before)
      }
      const rows = ranges.map(range => all.flat().filter(isIn(range)).length)
      expect(Math.max(...rows), `${rows}`).toBeLessThanOrEqual(rowsMax)
      expect(ranges.length, `${rows}`).toBeLessThanOrEqual(2 * (43_104 / rowsMax) + 1)
    }
    expect(cutIds(files, 43_104, 32)).toEqual([everyId])
    expect(cutIds(files, 43_103, 32)).toHaveLength(2)
  })
}

const isIn =
  ({ from, before }: IdRange) =>
  (id: string): boolean =>
    from <= id && id < before

test('cuts are as short as tell two blocks apart, and none is longer than a name has room for', async () => {
  const random = await fileOf(0, Array.from({ length: 20_000 }, ids.random))
  const lengths = cutIds([random], 8_192, 32).map(({ before }) => before.length)
  expect(Math.max(...lengths)).toBeLessThanOrEqual(2)
  const short = await fileOf(0, Array.from({ length: 20_000 }, ids['of 64 bits']))
  expect(cutIds([short], 8_192, 18).length).toBeGreaterThan(2)
  expect(cutIds([short], 8_192, 16)).toEqual([everyId])
})

test('an id that as many tenants have as fill blocks lies in one range', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const builder = new IdIndexBuilder()
  builder.beginSegment({ date, offset: 0, bytes: 1 })
  const same = 'ab'.repeat(16)
  for (let n = 0; n < 3 * blockRows; n++) builder.add(`tenant-${n}`, same, n)
  for (let n = 0; n < 3 * blockRows; n++) builder.add('default', ids.random(), n)
  const { key } = await builder.write(store, { partition: 3, logId: 'log-1' })
  const file = (await openIdIndex(store, key)) as SortedFile
  const ranges = cutIds([file], 2 * blockRows, 32)
  expect(ranges.length).toBeGreaterThan(1)
  expect(ranges.filter(range => isIn(range)(same))).toHaveLength(1)
  expect(ranges.every(({ from, before }) => from < before)).toBe(true)
})
