import type { Why } from '@winnow/query'
import { expect, test } from 'vitest'
import { contentText } from './content-text.ts'
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
  content: null,
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

test('what somebody asked for is kept for that', () => {
  const requested = { name: 'requested', matched: true, probability: 1, value: 1 }
  expect(whyText({ ...kept, rules: [requested] }, false)).toContain(
    'Kept because somebody asked for it.',
  )
})

test('retractions that had no room are told', () => {
  expect(whyText(kept, false)).not.toContain('taken back')
  expect(whyText({ ...kept, retractionsRefused: true }, false)).toContain(
    'More was taken back than',
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

test('what has expired of a kept trace is said, and that all of it is there is not', () => {
  const since = '2026-11-22T08:00:00.000Z'
  const until = '2026-12-22T00:00:00.000Z'
  const of = (content: Why['content']) => whyText({ ...kept, content }, false)
  expect(of({ level: 'full', since: null, until, missing: [] })).not.toContain('Content')
  expect(of({ level: 'structured', since, until, missing: ['text'] })).toContain(
    `Content: structured since ${since}, until ${until} at least: its text (messages, prompts, results) has expired.`,
  )
  expect(of({ level: 'hashed', since, until, missing: ['text', 'strings', 'spans'] })).toMatch(
    /Content: hashed since .* a keyed hash is left\. Not all of its spans are there\./,
  )
  expect(
    of({ level: 'none', since, until: null, missing: ['text', 'strings', 'spans'] }),
  ).toContain(`Content: none since ${since}: every tier’s time is over.`)
})

test('what a hold keeps is said with it and its end', () => {
  const until = '2027-01-31T23:59:59.000Z'
  const full = { level: 'full', since: null, until, missing: [], hold: '5c1e09b2f3a47d68' } as const
  const held = `Kept by hold 5c1e09b2f3a47d68 until ${until}. Read from hold.`
  expect(contentText(full, 'hold')).toBe(`Content: full. ${held}`)
  const hashed = { ...full, level: 'hashed', missing: ['text', 'strings'] } as const
  expect(contentText(hashed, 'hold')).toMatch(
    /^Content: hashed: its text has expired,.* is left\. Kept/,
  )
})

test('what another key would see has not expired', () => {
  const content = { level: 'structured', since: null, until: null, missing: ['text'] } as const
  expect(contentText(content, 'hot', true)).toBe(
    'Content: structured: the text is for keys with the scope content. Read from hot.',
  )
})
