import { expect, test } from 'vitest'
import { evaluation, root, slice, summary, traceIdOf } from '../fixtures.ts'
import { parsePolicy } from '../policy-file.ts'
import { revise } from '../revise.ts'
import { compilePolicy } from '../rules.ts'
import { Candidate } from './candidate.ts'

const id = traceIdOf(1)
const watching = (experiment: string) =>
  parsePolicy(`
version: ${experiment}
rules:
  - kind: active-variant
    variants: [{ experiment: ${experiment}, variant: B, until: 2100-01-01T00:00:00Z, dailyCap: 1 }]
  - { kind: ordinary, probability: 0 }
`)

test('a candidate sees the reported arm that it watches, and counts it under its cap', () => {
  const arms = ['a', 'z'].map(experiment =>
    evaluation(id, { id: `${id}.${experiment}`, name: 'flag', experiment, variant: 'B' }),
  )
  const slices = [slice(1, [{ id: 1 }], root(9))]
  const live = watching('a')
  const inputs = [summary(id, slices), ...arms].map(evidence => ({ evidence, appendedAtMs: 1 }))
  const decision = revise(undefined, inputs, {
    claim: 0,
    seq: 1,
    policy: compilePolicy(live),
    nowMs: 5_000,
    spansRetentionMs: 86_400_000,
    isLaterSeries: false,
    wasKept: false,
    slowBar: () => ({ count: 0, key: '' }),
    variantUsed: () => 0,
  })?.decision
  if (decision === undefined) throw new Error('nothing decided')
  expect(decision).toMatchObject({ verdict: 'keep', experiment: 'a' })
  const candidate = new Candidate(watching('z'), () => live)
  const verdict = () => {
    const facts = candidate.factsOf(decision, decision.slices)
    return candidate.verdictOn(decision, decision.slices, facts).verdict
  }
  expect([verdict(), verdict()]).toEqual(['keep', 'drop'])
})
