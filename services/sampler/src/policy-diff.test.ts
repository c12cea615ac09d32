import { expect, test } from 'vitest'
import { diffPolicies } from './policy-diff.ts'
import { parsePolicy } from './policy-file.ts'

const policy = (rules: string) => parsePolicy(`version: v\nrules:\n${rules}\n`)
const changesOf = (before: string, after: string) =>
  diffPolicies(policy(before), policy(after)).changes.map(
    ({ rule, kind, text }) => `${kind} ${rule}: ${text.join('; ')}`,
  )

const rest = '  - kind: ordinary'

test('the same rules in the same order have no difference', () => {
  const text = `  - kind: span-error\n${rest}`
  expect(diffPolicies(policy(text), policy(text))).toMatchObject({
    changes: [],
    sameVerdicts: true,
  })
})

test('a rule that came, one that went and one that keeps another share are told in words', () => {
  const before = `  - kind: span-error\n  - { kind: low-csat, atMost: 2 }\n${rest}`
  const after = `  - kind: span-error\n    probability: 0.5\n  - kind: outcome-failed\n  - kind: ordinary\n    probability: 0.05`
  expect(changesOf(before, after)).toEqual([
    'changed span-error: keeps 50 % of what it matches instead of 100 %',
    'added outcome-failed: a new rule, outcome-failed, keeps 100 % of what it matches',
    'changed ordinary: keeps 5 % of what it matches instead of 10 %',
    'removed low-csat: no longer asked; it was low-csat (atMost 2), keeps 100 % of what it matches',
  ])
})

test('labels and variants are told one by one', () => {
  const before = `  - { kind: judge-failed, labels: [fail, bad] }\n${rest}`
  const after = `  - { kind: judge-failed, labels: [fail, wrong], scoreBelow: 0.7 }\n${rest}`
  expect(changesOf(before, after)).toEqual([
    'changed judge-failed: labels has wrong now; labels lacks bad now; scoreBelow is 0.7 instead of 0.5',
  ])
  const variant = (cap: number) =>
    `  - kind: active-variant\n    variants: [{ experiment: e, variant: B, until: 2027-01-01T00:00:00Z, dailyCap: ${cap} }]\n${rest}`
  const [text] = changesOf(variant(5), variant(9))
  expect(text).toContain('variants has { experiment: e, variant: B')
  expect(text).toContain('dailyCap: 9 } now')
})

test('a name that means another kind of rule is one that went and one that came', () => {
  const before = `  - { kind: span-error, name: mine }\n${rest}`
  const after = `  - { kind: outcome-failed, name: mine }\n${rest}`
  expect(diffPolicies(policy(before), policy(after)).changes.map(({ kind }) => kind)).toEqual([
    'removed',
    'added',
  ])
})

test('a rule that stands elsewhere changes no verdict', () => {
  const before = `  - kind: span-error\n  - kind: low-csat\n  - kind: slow\n${rest}`
  const after = `  - kind: slow\n  - kind: span-error\n  - kind: low-csat\n${rest}`
  const { changes, sameVerdicts } = diffPolicies(policy(before), policy(after))
  expect(sameVerdicts).toBe(true)
  expect(changes).toEqual([
    {
      rule: 'slow',
      kind: 'moved',
      text: [
        'stands before span-error now: it is the primary rule where both match; no verdict changes',
      ],
    },
  ])
})

test('a ceiling that came is told', () => {
  const text = `  - kind: span-error\n${rest}`
  const { changes, sameVerdicts } = diffPolicies(
    policy(text),
    policy(`${text}\nceilings:\n  - { rule: span-error, perMinute: 60 }`),
  )
  expect(sameVerdicts).toBe(false)
  expect(changes).toMatchObject([
    { rule: 'ceilings', text: ['ceilings has { rule: span-error, perMinute: 60 } now'] },
  ])
})
