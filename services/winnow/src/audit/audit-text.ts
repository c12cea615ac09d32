import type { AuditReport } from './audit.ts'
import type { HotReport } from './hot-audit.ts'
import { type HotSums, percentOf } from './hot-sums.ts'

const shownMax = 50

/** A line a folder and a day of the hot store, a line a finding, and the verdict. Pure. */
export function auditText(report: AuditReport): string {
  const { folders, hot, findings, counts, agrees } = report
  const found = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`)
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return [
    line('folder', 'objects', 'bytes', 'accounted for', 'difference', '', 'rows', 'by the ledger'),
    ...folders.map(folder =>
      line(
        folder.where,
        folder.listedObjects,
        folder.listedBytes,
        folder.accountedBytes,
        folder.differenceBytes,
        percentText(folder.differencePercent),
        folder.ledgerRows === 0 ? '' : folder.rows,
        folder.ledgerRows === 0 ? '' : folder.ledgerRows,
      ),
    ),
    ...(hot === null ? [] : hotText(hot)),
    '',
    ...nonData(report),
    ...findings.slice(0, shownMax).map(({ kind, key, says }) => `✗ ${kind} ${key}: ${says}`),
    ...(all > shownMax ? [`✗ and ${all - shownMax} more: --json has ${findings.length}`] : []),
    agrees
      ? `✓ the listing and the ledger agree${hot === null ? '' : ', and so does the hot store'}`
      : `✗ ${found.join(', ')}`,
    '',
  ].join('\n')
}

function hotText({ days, ledger, held, differenceBytes, differencePercent }: HotReport): string[] {
  const row = (name: string, is: HotSums, said: HotSums, difference: number, percent: number) =>
    line(
      name,
      is.traces,
      is.bytes,
      said.bytes,
      difference,
      percentText(percent),
      is.spans,
      said.spans,
    )
  return [
    '',
    line('hot', 'traces', 'bytes of spans', 'by the ledger', 'difference', '', 'spans', 'by it'),
    ...days.map(({ date, held: is, ledger: said }) => {
      const difference = is.bytes - said.bytes
      return row(date, is, said, difference, percentOf(difference, said.bytes))
    }),
    row('all', held, ledger, differenceBytes, differencePercent),
  ]
}

/** What is not compared, and bytes that are nobody's data: what an index adds, and what small objects are billed for. */
function nonData({ folders, hot }: AuditReport): string[] {
  const small = folders.filter(({ smallBytes }) => smallBytes > 0)
  const lines = [
    ...(hot === null || hot.behind === 0
      ? []
      : [
          `hot has yet to be given ${hot.behind} records of decisions that the ledger has: they are not compared`,
        ]),
    ...(hot === null || hot.storeBytes + hot.textBytes === 0
      ? []
      : [
          `hot occupies ${hot.storeBytes} bytes and ${hot.textBytes} of text: ${beside(hot.overheadBytes)}`,
        ]),
    ...small.map(
      ({ where, smallBytes }) =>
        `${where} is billed for ${smallBytes} bytes more, since its objects are small`,
    ),
  ]
  return lines.length === 0 ? [] : [...lines.map(text => `  ${text}`), '']
}

/** A store may pack what it has more tightly than it adds to it. */
function beside(overheadBytes: number): string {
  return overheadBytes < 0
    ? `${-overheadBytes} less than the spans' own, which it packs`
    : `${overheadBytes} beyond the spans' own`
}

const widths = [10, 9, 15, 15, 12, 9, 10, 13]

function line(...cells: readonly (string | number)[]): string {
  const [first = '', ...rest] = cells
  const padded = rest.map((cell, at) => String(cell).padStart(widths[at + 1] ?? 0))
  return `  ${[String(first).padEnd(widths[0] ?? 0), ...padded].join(' ')}`.trimEnd()
}

function percentText(percent: number): string {
  return `${percent.toFixed(percent === 0 ? 0 : 2)} %`
}

/** The totals as rows before the findings: bytes are what is there, beside what is accounted for. */
export function totalRows({ folders, hot }: AuditReport): CsvRow[] {
  return [
    ...folders.map(({ where, listedBytes, accountedBytes, differencePercent }) => ({
      kind: 'total',
      key: where,
      bytes: listedBytes,
      says: `${accountedBytes} accounted for, ${percentText(differencePercent)}`,
    })),
    ...(hot?.days ?? []).map(({ date, held, ledger }) => ({
      kind: 'total',
      key: `hot/${date}`,
      bytes: held.bytes,
      says: `${ledger.bytes} accounted for, ${percentText(percentOf(held.bytes - ledger.bytes, ledger.bytes))}`,
    })),
  ]
}

type CsvRow = Readonly<Record<'kind' | 'key' | 'says', string> & { bytes: number }>

/** The findings as rows, for a sheet: kind, key, bytes, says. */
export function auditCsv(
  { findings }: { readonly findings: readonly CsvRow[] },
  totals: readonly CsvRow[] = [],
): string {
  const rows = [...totals, ...findings].map(({ kind, key, bytes, says }) => [
    kind,
    key,
    String(bytes),
    says,
  ])
  return [['kind', 'key', 'bytes', 'says'], ...rows]
    .map(row => `${row.map(cell => `"${cell.replaceAll('"', '""')}"`).join(',')}\r\n`)
    .join('')
}
