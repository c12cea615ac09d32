import type { LedgerReport } from '@winnow/query'
import { expect, test } from 'vitest'
import { verifyText } from './verify-text.ts'

const balanced: LedgerReport = {
  v: 1,
  window: { from: '2026-11-20T14:00:00.000Z', to: '2026-11-21T14:00:00.000Z' },
  received: 8012,
  duplicate: 12,
  kept: 1900,
  dropped: 6092,
  pending: 8,
  lostToRetention: 0,
  missing: 0,
  doubled: 0,
  imbalance: 0,
  balanced: true,
  full: false,
  problems: 0,
  offending: [],
}

test('a balance is a table of what became of the spans', () => {
  expect(
    verifyText(balanced),
  ).toBe(`BALANCED  8012 spans received from 2026-11-20T14:00:00.000Z to 2026-11-21T14:00:00.000Z
Read: the window that is kept up with the log.

  duplicate                    12
  kept                       1900
  dropped                    6092
  pending                       8
  lost to retention             0
  missing                       0
  doubled                       0
`)
})

test('what does not balance is named', () => {
  const text = verifyText({
    ...balanced,
    kept: 1890,
    missing: 10,
    imbalance: 10,
    balanced: false,
    full: true,
    problems: 2,
    offending: [
      {
        problem: 'missing',
        tenant: 'acme',
        traceId: '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f',
        ref: { partition: 3, offset: 71, start: 840, length: 900, spanCount: 8 },
        spans: 8,
        detail: 'no decision names it',
      },
    ],
  })
  expect(text).toMatch(/^NOT BALANCED {2}8012 spans/)
  expect(text).toContain('\nRead: all that is retained.\n')
  expect(text).toContain('\n  out of balance by            10\n')
  expect(text).toContain('\nProblems: the first 1 of 2\n')
  expect(text).toContain(
    '\n  missing 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f of acme (spans/3@71+840): no decision names it\n',
  )
})

test('a window of nothing has no moments', () => {
  const text = verifyText({ ...balanced, window: { from: null, to: null }, shortened: true })
  expect(text).toContain('from - to -\nThe youngest part of what is retained.\n')
})
