import type { Decision } from '@winnow/model'
import { expect, test } from 'vitest'
import { explain } from './why.ts'

const hourMs = 3_600_000
const waits = { spansRetentionMs: 24 * hourMs, awaitingMaxMs: 24 * hourMs }
const traceId = 'a'.repeat(32)

function decided(over: Partial<Decision>): Decision {
  return {
    verdict: 'drop',
    rules: [],
    sliceCount: 2,
    lastSpanAtMs: hourMs,
    evaluations: [],
    requests: [],
    firstSpanAtMs: 0,
    closedAtMs: 0,
    decidedAtMs: 0,
    seriesAtMs: 0,
    ...over,
  } as unknown as Decision
}

const searched = { tiers: ['log'], ledgerSince: null, complete: true, unreadable: [] } as const

const at = (decision: Decision | undefined, logTimeMs: number) =>
  explain(traceId, { decision, searched }, undefined, logTimeMs, waits)

test('a keep is kept, and one whose bytes had all gone is expired', () => {
  expect(at(decided({ verdict: 'keep' }), 0).state).toBe('kept')
  expect(at(decided({ verdict: 'keep', gone: true }), 0)).toMatchObject({
    state: 'expired',
    verdict: 'keep',
  })
})

test('a drop can be rescued until the last of its bytes have left the bus, by log time', () => {
  const drop = decided({})
  expect(at(drop, 25 * hourMs).state).toBe('dropped')
  expect(at(drop, 25 * hourMs + 1).state).toBe('expired')
})

test('the time until which its bytes can be read counts from the oldest of them', () => {
  expect(at(decided({}), 0).bytesReadableUntil).toBe('1970-01-02T00:00:00.000Z')
})

test('without spans it awaits them, is pending where an assembler holds it, else unknown', () => {
  const without = decided({ sliceCount: 0, firstSpanAtMs: null, lastSpanAtMs: null })
  const open = { spanCount: 3, firstAppendedAtMs: 0 }
  expect(at(without, 0).state).toBe('awaiting')
  expect(explain(traceId, { decision: without, searched }, open, 0, waits).state).toBe('pending')
  expect(explain(traceId, { decision: undefined, searched }, open, 0, waits)).toMatchObject({
    state: 'pending',
    spanCount: 3,
    verdict: null,
  })
  expect(at(undefined, 0)).toMatchObject({ state: 'unknown', spanCount: null })
})

test('an evaluation that awaits its trace for longer than a day has missed it', () => {
  const waiting = decided({
    sliceCount: 0,
    evaluations: [{ id: `${traceId}.1`, name: 'csat', effect: 'awaiting' }],
  })
  expect(at(waiting, 24 * hourMs).evaluations[0]?.state).toBe('awaiting')
  expect(at(waiting, 24 * hourMs + 1).evaluations[0]?.state).toBe('missed')
})

test('it says of how many slices a decision is, and whether it continues an earlier series', () => {
  expect(at(decided({}), 0)).toMatchObject({ sliceCount: 2, continuesSeries: false, searched })
  const seriesFrom = { offset: 7, start: 0 }
  expect(at(decided({ seriesFrom }), 0)).toMatchObject({ continuesSeries: true })
  expect(at(undefined, 0)).toMatchObject({ sliceCount: null, continuesSeries: null, searched })
})

test('that retractions were refused is told, and otherwise nothing of it', () => {
  expect(at(decided({ retractionsRefused: true }), 0)).toMatchObject({ retractionsRefused: true })
  expect(at(decided({}), 0)).not.toHaveProperty('retractionsRefused')
})

test('a retraction by the client’s own id takes back all that was said under it, and nothing else', () => {
  const ids = ['f', `f~${'0'.repeat(16)}`, `f~${'1'.repeat(16)}`, 'g', 'fg']
  const evaluations = ids.map(id => ({ id: `${traceId}.${id}`, name: 'x', effect: 'applied' }))
  const retractions = [{ id: `${traceId}.f` }]
  const told = at(decided({ evaluations, retractions } as unknown as Partial<Decision>), 0)
  expect(told.evaluations.map(({ retracted = false }) => retracted)).toEqual([
    ...[true, true, true],
    ...[false, false],
  ])
})
