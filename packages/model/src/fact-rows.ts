/** Whether what a slice lists of its spans' rows is what it should be; absent it is. */
export function areRows(rows: unknown, rootRows: unknown): boolean {
  if (rows === undefined) return rootRows === undefined
  if (!Array.isArray(rows)) return false
  for (let i = 0; i < rows.length; i++) if (!isRow(rows[i])) return false
  if (rootRows === undefined) return true
  return Array.isArray(rootRows) && rootRows.every(entry => isRootRow(entry, rows.length))
}

function isRow(row: unknown): boolean {
  if (!Array.isArray(row)) return false
  for (let i = 0; i < row.length; i++) if (!isCell(row[i])) return false
  return true
}

function isCell(cell: unknown): boolean {
  switch (typeof cell) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(cell)
    case 'object':
      return cell === null || (!Array.isArray(cell) && Object.keys(cell).length === 0)
    default:
      return false
  }
}

function isRootRow(entry: unknown, rows: number): boolean {
  if (!Array.isArray(entry) || entry.length !== 2) return false
  const [spanId, row] = entry as unknown[]
  return (
    typeof spanId === 'string' && Number.isInteger(row) && Number(row) >= 0 && Number(row) < rows
  )
}
