import { type DecidedEvaluation, packSlice } from '@winnow/model'
import { expect, test } from 'vitest'
import { sampleDecision, sampleSlice, sampleSpanId, sampleTimeMs } from '../samples.ts'
import { decisionOf, ledgerRow } from './ledger-rows.ts'

test('a decision is in its row whole, and the row says where it lies', () => {
  const decision = sampleDecision(4)
  const row = ledgerRow(decision, 3, 77)
  expect(decisionOf(row)).toEqual(decision)
  expect(row).toMatchObject({
    sampling_partition: 3,
    sampling_offset: 77,
    rules: '["citation-failed","low-csat","ordinary"]',
    gone: false,
    slice_count: 1,
    slices_written: 1,
    decided_at: decision.decidedAtMs,
  })
})

test('text that people gave is not in the ledger', () => {
  const secret = 'priya is angry'
  const evaluation: DecidedEvaluation = { id: 'x.1', name: 'csat', score: 2, effect: 'rescued' }
  const decision = sampleDecision(4, {
    evaluations: [
      { ...evaluation, source: 'crm', label: 'bad', atMs: sampleTimeMs, spanId: sampleSpanId(1) },
      { ...evaluation, id: 'x.2', label: `${secret} `.repeat(6), source: `${secret} `.repeat(6) },
      // What a caller that is not typed might let through.
      { ...evaluation, id: 'x.3', comment: secret } as DecidedEvaluation,
    ],
    requests: [{ id: 'r1', reason: secret }],
  })
  const row = ledgerRow(decision, 3, 77)
  expect(JSON.stringify(row)).not.toMatch(/priya/)
  expect(JSON.parse(row.evaluations)).toEqual([
    { ...evaluation, source: 'crm', label: 'bad', atMs: sampleTimeMs, spanId: sampleSpanId(1) },
    { ...evaluation, id: 'x.2' },
    { ...evaluation, id: 'x.3' },
  ])
  expect(decisionOf(row).requests).toEqual([{ id: 'r1', reason: '' }])
})

test('a label is a fact up to 64 bytes and content one past them', () => {
  const labelled = (label: string): string | undefined =>
    decisionOf(
      ledgerRow(
        sampleDecision(1, {
          evaluations: [{ id: 'x', name: 'judge', label, effect: 'applied' }],
        }),
        3,
        1,
      ),
    ).evaluations[0]?.label
  expect(labelled('é'.repeat(32))).toBe('é'.repeat(32))
  expect(labelled(`${'é'.repeat(32)}x`)).toBeUndefined()
})

test('outcomes in spans and beside them are one set of columns, the worst counts', () => {
  const slice = sampleSlice(1)
  const outcomes = [
    { name: 'judge', spanId: sampleSpanId(7), score: 1, passed: true },
    { name: 'citation', spanId: sampleSpanId(6), extracted: 2, supported: 1, unsupported: 1 },
    { name: 'citation', spanId: sampleSpanId(5), extracted: 9, supported: 9, unsupported: 0 },
    { name: 'csat', spanId: sampleSpanId(0), score: 4 },
  ]
  const decision = sampleDecision(1, {
    slices: [packSlice({ ...slice, facts: { ...slice.facts, outcomes } })],
    evaluations: [
      { id: 'a', name: 'csat', score: 2, effect: 'applied' },
      { id: 'b', name: 'judge', score: 0.2, passed: false, effect: 'applied' },
    ],
  })
  expect(ledgerRow(decision, 3, 1)).toMatchObject({
    judge_passed: false,
    judge_score: 0.2,
    citation_extracted: 2,
    citation_supported: 1,
    citation_unsupported: 1,
    csat: 2,
  })
  expect(ledgerRow(sampleDecision(1), 3, 1)).toMatchObject({
    judge_passed: null,
    judge_score: null,
    citation_extracted: null,
    csat: null,
  })
})
