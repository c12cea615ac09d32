import { expect, test } from 'vitest'
import type { AuditReport } from './audit.ts'
import { auditText } from './audit-text.ts'

const sums = { traces: 2, spans: 16, bytes: 4_000 }
const hot = {
  days: [{ date: '2026-11-21', ledger: sums, held: sums, storeBytes: 1_500 }],
  ...{ ledger: sums, held: sums, differenceBytes: 0, differencePercent: 0 },
  ...{ storeBytes: 1_500, textBytes: 1_000, behind: 0 },
}
const report = (overheadBytes: number): AuditReport => ({
  ...{ v: 1, agrees: true, folders: [], counts: {}, findings: [] },
  hot: { ...hot, overheadBytes },
})

test('what the hot store adds to the spans is said, and what it saves by packing them', () => {
  const occupies = '  hot occupies 1500 bytes and 1000 of text: '
  expect(auditText(report(700))).toContain(`${occupies}700 beyond the spans' own\n`)
  expect(auditText(report(-1_500))).toContain(
    `${occupies}1500 less than the spans' own, which it packs\n`,
  )
})
