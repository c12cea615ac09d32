import type { RuleAnswer } from '@winnow/model'
import { expect, test } from 'vitest'
import { inclusionOf, upstreamOf, type WeighedDecision } from './inclusion.ts'

const retentionMs = 1_000
const lowR = '10000000000000'
const highR = 'f0000000000000'
const tenth = 'e6666666666666'

const ordinary = (value: string): RuleAnswer => ({
  name: 'ordinary',
  matched: true,
  probability: 0.1,
  value,
  threshold: tenth,
})
const matched = (name: string, probability = 1): RuleAnswer => ({
  name,
  matched: true,
  probability,
})

function kept(changes: Partial<WeighedDecision> = {}): WeighedDecision {
  return {
    verdict: 'keep',
    rules: [ordinary(highR)],
    probability: 0.1,
    th: tenth,
    stratum: 'ordinary',
    lastSpanAtMs: 0,
    decidedAtMs: 100,
    sliceCount: 1,
    ...changes,
  }
}

const of = (changes: Partial<WeighedDecision>) => inclusionOf(kept(changes), retentionMs)

test('an ordinary trace stands for ten', () => {
  expect(of({})).toEqual({ kind: 'in', probability: expect.closeTo(0.1, 12), stratum: 'ordinary' })
})

test('a must-keep and what it rescued stand for themselves', () => {
  const failed = { rules: [matched('span-error'), ordinary(lowR)], probability: 1, th: '0' }
  expect(of({ ...failed, stratum: 'span-error' })).toMatchObject({ probability: 1 })
  expect(of({ ...failed, stratum: 'rescued' })).toMatchObject({
    probability: 1,
    stratum: 'rescued',
  })
})

test('what a rule rescues one in two of stands for two', () => {
  const rules = [matched('outcome-failed', 0.5), ordinary('90000000000000')]
  const rescued = { rules, probability: 0.5, th: '8', stratum: 'rescued' }
  expect(of(rescued)).toMatchObject({ probability: 0.5 })
})

test('an upstream sampler is composed with ours by the stricter of the two, never multiplied', () => {
  expect(of({ th: 'f' })).toMatchObject({ probability: 1 / 16 })
  const failed = { rules: [matched('span-error'), ordinary(highR)], probability: 1, th: '8' }
  expect(of(failed)).toMatchObject({ probability: 0.5 })
  expect(upstreamOf(kept(failed))).toBe(0.5)
  expect(upstreamOf(kept())).toBeUndefined()
})

test('a request changes nothing: the trace counts by its own draw, or not at all', () => {
  const asked = { probability: 1, th: '0', stratum: 'requested' }
  const tenthOf = { kind: 'in', probability: 0.1, stratum: 'ordinary' }
  expect(of({ ...asked, rules: [matched('requested'), ordinary(highR)] })).toEqual(tenthOf)
  expect(of({ ...asked, rules: [matched('requested'), ordinary(lowR)] })).toEqual({
    kind: 'requested',
  })
  const failed = [matched('span-error'), matched('requested'), ordinary(lowR)]
  expect(of({ ...asked, rules: failed })).toMatchObject({ probability: 1, stratum: 'span-error' })
})

test('an outcome that could rescue no dropped trace any more leaves the draw as it was', () => {
  const tooLate = { probability: 1, th: '0', decidedAtMs: 1_001 }
  const rules = [matched('low-csat'), ordinary(highR)]
  expect(of({ ...tooLate, rules })).toMatchObject({ probability: 0.1, stratum: 'ordinary' })
  expect(of({ ...tooLate, rules: [matched('low-csat'), ordinary(lowR)] })).toEqual({ kind: 'late' })
  expect(of({ ...tooLate, decidedAtMs: 1_000, rules })).toMatchObject({ probability: 1 })
})

test('what came in time keeps its weight when a review comes late', () => {
  const rules = [matched('low-csat'), ordinary(lowR)]
  const reviewed = { rules, probability: 1, th: '0', decidedAtMs: 90_000, weighedAtMs: 500 }
  expect(of(reviewed)).toMatchObject({ probability: 1 })
})

test('a keep that no rule would have any more is left to those of its like that pass now', () => {
  const inherited = { rules: [ordinary(lowR)], probability: 1, th: '0', inherited: true as const }
  expect(of(inherited)).toEqual({ kind: 'inherited' })
})

test('a drop, a keep whose bytes are gone and outcomes without a trace are no part of a sample', () => {
  expect(of({ verdict: 'drop' })).toEqual({ kind: 'unread' })
  expect(of({ gone: true })).toEqual({ kind: 'unread' })
  expect(of({ sliceCount: 0 })).toEqual({ kind: 'unread' })
})
