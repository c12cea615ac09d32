import { expect, test } from 'vitest'
import { seededWords } from './index-files.fixture.ts'
import { sortRows } from './sort-rows.ts'

const rowBytes = 28

/** Rows as the sort left them, and as a plain sort of texts has them. */
async function sorted(rows: readonly Buffer[], keyBytes = rowBytes) {
  const bytes = Buffer.concat(rows)
  let pauses = 0
  await sortRows(bytes, rowBytes, keyBytes, async () => {
    pauses++
  })
  const texts = rows.map((_, n) => bytes.toString('hex', n * rowBytes, (n + 1) * rowBytes))
  return { texts, pauses, plain: rows.map(row => row.toString('hex')).toSorted() }
}

function rowsOf(seed: number, count: number, fill: (row: Buffer, word: number) => void): Buffer[] {
  const word = seededWords(seed)
  return Array.from({ length: count }, () => {
    const row = Buffer.alloc(rowBytes)
    for (let at = 0; at < rowBytes; at += 4) row.writeUInt32BE(word(), at)
    fill(row, word())
    return row
  })
}

test('rows come in the order of their bytes, whatever they share', async () => {
  const shapes: Record<string, (row: Buffer, word: number) => void> = {
    random: () => {},
    'all begin with the same twelve bytes': row => row.fill(7, 0, 12),
    'few differ': (row, word) => row.fill(word % 3),
    'only the last byte differs': (row, word) => row.fill(1, 0, 27).writeUInt8(word % 256, 27),
    same: row => row.fill(9),
  }
  for (const [shape, fill] of Object.entries(shapes)) {
    for (const count of [0, 1, 2, 24, 25, 26, 300, 5_000]) {
      const { texts, plain } = await sorted(rowsOf(count, count, fill))
      expect(texts, `${shape}, ${count} rows, seed ${count}`).toEqual(plain)
    }
  }
})

test('rows that differ behind the key alone keep some order and all stay', async () => {
  const rows = rowsOf(1, 400, row => row.fill(5, 0, 20))
  const { texts, plain } = await sorted(rows, 20)
  expect(texts.toSorted()).toEqual(plain)
})

test('the thread is given away at least every 16,384 rows that are touched', async () => {
  const { pauses } = await sorted(rowsOf(2, 50_000, () => {}))
  // Each row is counted once and placed once, at the least.
  expect(pauses).toBeGreaterThanOrEqual(Math.floor(100_000 / 16_384))
})
