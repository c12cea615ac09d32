import type { AuditReport } from './audit.ts'

const shownMax = 50

/** A line a folder, a line a finding, and the verdict. Pure. */
export function auditText({ folders, findings, counts, agrees }: AuditReport): string {
  const found = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`)
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return [
    `  ${'folder'.padEnd(8)} ${'objects'.padStart(9)} ${'bytes'.padStart(15)} ${'accounted for'.padStart(15)} ${'difference'.padStart(12)}`,
    ...folders.map(({ where, listedObjects, listedBytes, accountedBytes }) =>
      [
        `  ${where.padEnd(8)} ${String(listedObjects).padStart(9)}`,
        String(listedBytes).padStart(15),
        String(accountedBytes).padStart(15),
        String(listedBytes - accountedBytes).padStart(12),
      ].join(' '),
    ),
    '',
    ...findings.slice(0, shownMax).map(({ kind, key, says }) => `✗ ${kind} ${key}: ${says}`),
    ...(all > shownMax ? [`✗ and ${all - shownMax} more: --json has ${findings.length}`] : []),
    agrees ? '✓ the listing and the ledger agree' : `✗ ${found.join(', ')}`,
    '',
  ].join('\n')
}

/** The findings as rows, for a sheet: kind, key, bytes, says. */
export function auditCsv({ findings }: AuditReport): string {
  const rows = findings.map(({ kind, key, bytes, says }) => [kind, key, String(bytes), says])
  return [['kind', 'key', 'bytes', 'says'], ...rows]
    .map(row => `${row.map(cell => `"${cell.replaceAll('"', '""')}"`).join(',')}\r\n`)
    .join('')
}
