import { everyId, type IdRange } from './index-key.ts'
import { fenceBytes, type SortedFile } from './sorted-file.ts'

/** Of a row's key. */
const idBytes = 16

/**
 * Between which ids the rows of these files are to be cut, so that what lies between two cuts takes a file of
 * `rowsMax` rows, about the same each; as far as the first ids of their blocks tell. One range: of all. Of the same
 * files everybody has the same cuts, in as few digits as tell two blocks apart. Pure.
 */
export function cutIds(
  files: readonly SortedFile[],
  rowsMax: number,
  digitsMax: number,
): readonly IdRange[] {
  const rows = files.reduce((sum, file) => sum + file.rows, 0)
  if (rows <= rowsMax) return [everyId]
  const blocks = files.flatMap(blocksOf).sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
  // A block of each file begins before a cut and ends behind it.
  const cutRows = Math.max(
    rowsMax / 2,
    rowsMax - files.reduce((sum, file) => sum + Math.min(file.rows, file.blockRows), 0),
  )
  const each = rows / Math.ceil(rows / cutRows)
  const ranges: IdRange[] = []
  let { from } = everyId
  let before = ''
  let gathered = 0
  for (const block of blocks) {
    if (gathered >= each && block.id > before) {
      const cut = digitsBetween(before, block.id)
      if (cut.length <= digitsMax) {
        ranges.push({ from, before: cut })
        from = cut
        gathered = 0
      }
    }
    gathered += block.rows
    before = block.id
  }
  return from === everyId.from ? [everyId] : [...ranges, { from, before: everyId.before }]
}

/** The first id of each block, and how many rows it has. */
function blocksOf({ fences, rows, blockRows }: SortedFile): { id: string; rows: number }[] {
  return Array.from({ length: fences.length / fenceBytes }, (_, block) => ({
    id: fences.toString('hex', block * fenceBytes, block * fenceBytes + idBytes),
    rows: Math.min(blockRows, rows - block * blockRows),
  }))
}

/** The fewest first digits of `b` that are behind `a`, which is before it. */
function digitsBetween(a: string, b: string): string {
  let digits = 1
  while (b.slice(0, digits) <= a) digits++
  return b.slice(0, digits)
}
