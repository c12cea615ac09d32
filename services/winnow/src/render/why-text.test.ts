import type { Why } from '@winnow/query'
import { expect, test } from 'vitest'
import { whyText } from './why-text.ts'

const unknown: Why = {
  traceId: '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f',
  state: 'unknown',
  revision: null,
  verdict: null,
  primary: null,
  rules: [],
  probability: null,
  adjustedCount: null,
  th: null,
  stratum: null,
  policyVersion: null,
  closeReason: null,
  complete: null,
  missingParents: null,
  sliceCount: null,
  continuesSeries: null,
  searched: { tiers: ['log', 'hot'], ledgerSince: null, complete: true, unreadable: [] },
  spanCount: null,
  service: null,
  operation: null,
  variant: null,
  durationMs: null,
  firstSpanAt: null,
  closedAt: null,
  decidedAt: null,
  cause: null,
  evaluations: [],
  retractions: [],
  requests: [],
  bytesReadableUntil: null,
}

const kept: Why = {
  ...unknown,
  state: 'kept',
  verdict: 'keep',
  primary: 'citation-failed',
  revision: 1,
  policyVersion: 'default',
  adjustedCount: 1,
  stratum: 'citation-failed',
  th: '0',
  rules: [
    { name: 'span-error', matched: false, probability: 1, value: 0, threshold: 0 },
    {
      name: 'citation-failed',
      matched: true,
      probability: 1,
      spanId: '0700000000000000',
      detail: { extracted: 2, supported: 1, unsupported: 1 },
    },
    { name: 'low-csat', matched: true, probability: 1, value: 2, threshold: 2 },
  ],
}

test('a kept trace is explained in one sentence with values and spans', () => {
  expect(whyText(kept, false)).toContain(
    'Kept because the citation check failed (span 0700000000000000): 1 of 2 claims supported, 1 unsupported and CSAT 2 ≤ 2.',
  )
})

test('every rule is listed, matched or not', () => {
  const text = whyText(kept, false)
  expect(text).toMatch(/· span-error/)
  expect(text).toMatch(/✓ low-csat +CSAT 2, low is 2 or less/)
})

test('a dropped trace says until when it can be rescued', () => {
  const text = whyText(
    {
      ...kept,
      state: 'dropped',
      verdict: 'drop',
      probability: 0.1,
      rules: [],
      bytesReadableUntil: '2026-11-22T10:00:00.000Z',
    },
    false,
  )
  expect(text).toContain('not among the 10 % of ordinary traces')
  expect(text).toContain('2026-11-22T10:00:00.000Z')
})

test('a trace that one series does not take whole says so', () => {
  const whole = { ...kept, spanCount: 8, complete: true, missingParents: 0, continuesSeries: false }
  expect(whyText(whole, false)).toContain('8 spans, complete')
  const cut = whyText({ ...whole, complete: false, continuesSeries: true }, false)
  expect(cut).toContain('8 spans, incomplete')
  expect(cut).toContain('larger than one series takes')
})

test('what was not found says how far the ledger was searched', () => {
  const searched = { ...unknown.searched, ledgerSince: '2026-10-21', complete: false }
  expect(whyText({ ...unknown, searched }, false)).toContain('Not found back to 2026-10-21;')
})

test('each of the six states has its own sentence', () => {
  const states = ['kept', 'dropped', 'expired', 'pending', 'awaiting', 'unknown'] as const
  const sentences = states.map(state => whyText({ ...unknown, state }, false).split('\n')[2])
  expect(new Set(sentences).size).toBe(states.length)
})

test('colours appear only where they are asked for', () => {
  expect(whyText(kept, false)).not.toContain('\u001b')
  expect(whyText(kept, true)).toContain('\u001b[')
})
