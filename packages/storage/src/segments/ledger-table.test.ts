import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { sampleDecision, sampleTimeMs } from '../samples.ts'
import { chunkBytes } from './byte-chunks.ts'
import { rowsMin } from './ledger-cells.ts'
import type { LedgerRow } from './ledger-row.ts'
import { ledgerRow } from './ledger-rows.ts'
import { LedgerTable, ledgerRowOverheadBytes } from './ledger-table.ts'
import { readAllLedger, writeSegment } from './segment.ts'

/** Texts, nulls and tenants that differ from row to row. */
function rowsOf(first: number, count: number): LedgerRow[] {
  return Array.from({ length: count }, (_, at) => {
    const n = first + at
    const decision = sampleDecision((n * 7919) % 1009, {
      tenant: n % 3 === 0 ? 'ümlaut' : 'default',
      verdict: n % 5 === 0 ? 'keep' : 'drop',
      service: n % 4 === 0 ? null : `service ${n % 50}`,
      rootSpanId: n % 6 === 0 ? null : `${n}`.padStart(16, '0'),
      durationMs: n % 7 === 0 ? null : n / 3,
      complete: n % 8 === 0 ? null : n % 2 === 0,
      evaluations: [{ id: `e${n}`, name: 'csat', score: n % 5, effect: 'applied' }],
    })
    return ledgerRow(decision, 3, n)
  })
}

/** In the order of the log. */
async function read(table: LedgerTable, rows = table.count): Promise<LedgerRow[]> {
  const blobs = new MemoryBlobStore(new ManualClock())
  const metadata = {
    v: 1,
    tier: 'ledger',
    partition: 3,
    logId: 'log',
    a: 0,
    b: 9,
    after: { claim: 0, next: 1 },
    rows: { ledger: rows, warm: 0, cold: 0 },
    digest: '',
  } as const
  const groups = () => table.groups(rows)
  const { key } = await writeSegment(blobs, sampleTimeMs, metadata, {
    tier: 'ledger',
    count: rows,
    groups,
  })
  const all = await readAllLedger(blobs, key)
  return all.toSorted((a, b) => a.sampling_offset - b.sampling_offset)
}

for (const count of [rowsMin, rowsMin + 1, 3 * rowsMin]) {
  test(`${count} rows are given back, the first of them alone too, and what is behind them`, async () => {
    const rows = rowsOf(0, count)
    const table = new LedgerTable()
    for (const row of rows) table.add(row)
    expect(await read(table)).toEqual(rows)
    expect(await read(table, 5)).toEqual(rows.slice(0, 5))
    table.forgetFirst(count - 300)
    expect(table.count).toBe(300)
    const more = rowsOf(count, 40)
    for (const row of more) table.add(row)
    expect(await read(table)).toEqual([...rows.slice(-300), ...more])
    table.forgetFirst(340)
    expect(table.count).toBe(0)
    for (const row of more) table.add(row)
    expect(await read(table)).toEqual(more)
  })
}

test('a decision of any size is held, and what was said of it as bytes may be used again', async () => {
  const table = new LedgerTable()
  const rows = [chunkBytes - 100, chunkBytes, 3 * chunkBytes, 10].map((length, n) => ({
    ...(rowsOf(n, 1)[0] as LedgerRow),
    decision: JSON.stringify('ü'.repeat(length / 2)),
  }))
  for (const row of rows) {
    const bytes = Buffer.from(row.decision)
    expect(table.add({ ...row, decision: bytes })).toBeGreaterThan(
      ledgerRowOverheadBytes + bytes.length,
    )
    bytes.fill(0)
  }
  expect(await read(table)).toEqual(rows)
})

test('memory that one table gave back is not another’s twice', async () => {
  const [one, two] = [new LedgerTable(), new LedgerTable()]
  const fill = (table: LedgerTable, first: number): LedgerRow[] => {
    const rows = rowsOf(first, 200)
    for (const row of rows) table.add(row)
    return rows
  }
  for (let turn = 0; turn < 6; turn++) {
    const rows = [fill(one, 400 * turn), fill(two, 400 * turn + 200)]
    expect(await read(one)).toEqual(rows[0])
    expect(await read(two)).toEqual(rows[1])
    one.forgetFirst(200)
    fill(one, 0)
    expect(await read(two)).toEqual(rows[1])
    one.forgetFirst(200)
    two.forgetFirst(200)
  }
})
