import type { Decision } from '@winnow/model'
import { expect, test } from 'vitest'
import { evaluation, root, slice, summary, traceIdOf } from '../fixtures.ts'
import { parsePolicy } from '../policy-file.ts'
import { decisionAfter, revisionContext } from '../revision.fixture.ts'
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
  const evidence = [summary(id, slices), ...arms]
  const decision = decisionAfter(undefined, evidence, revisionContext(compilePolicy(live)))
  if (decision === undefined) throw new Error('nothing decided')
  expect(decision).toMatchObject({ verdict: 'keep', experiment: 'a' })
  const candidate = new Candidate(watching('z'), () => live)
  const verdict = () => {
    const facts = candidate.factsOf(decision, decision.slices)
    return candidate.verdictOn(decision, decision.slices, facts).verdict
  }
  expect([verdict(), verdict()]).toEqual(['keep', 'drop'])
})

test('a candidate sees how the trace was closed', () => {
  const live = compilePolicy(parsePolicy('version: v\nrules: [{ kind: ordinary, probability: 0 }]'))
  const evidence = [summary(id, [slice(1, [{ id: 1 }], root(9))], { missingParents: 2 })]
  const decision = decisionAfter(undefined, evidence, revisionContext(live)) as Decision
  const asked = (when: string) => {
    const rules = `[{ kind: condition, name: c, when: '${when}' }, { kind: ordinary, probability: 0 }]`
    const candidate = new Candidate(parsePolicy(`version: c\nrules: ${rules}`), () => live.policy)
    const facts = candidate.factsOf(decision, decision.slices)
    return candidate.verdictOn(decision, decision.slices, facts).verdict
  }
  expect(asked('missingParents > 1 && closeReason == "root"')).toBe('keep')
  expect(asked('missingParents > 2 || complete')).toBe('drop')
})

test('an evaluation that came too late is no fact for a candidate either', () => {
  const live = compilePolicy(parsePolicy('version: v\nrules: [{ kind: ordinary, probability: 0 }]'))
  const failed = evaluation(id, { name: 'judge', passed: false })
  const evidence = [summary(id, [slice(1, [{ id: 1 }], root(9))]), failed]
  const decision = decisionAfter(undefined, evidence, revisionContext(live)) as Decision
  const rules = '[{ kind: judge-failed }, { kind: ordinary, probability: 0 }]'
  const candidate = new Candidate(parsePolicy(`version: c\nrules: ${rules}`), () => live.policy)
  const verdict = (effect: 'applied' | 'missed') => {
    const evaluations = decision.evaluations.map(one => ({ ...one, effect }))
    const of = { ...decision, evaluations }
    return candidate.verdictOn(of, of.slices, candidate.factsOf(of, of.slices)).verdict
  }
  expect([verdict('applied'), verdict('missed')]).toEqual(['keep', 'drop'])
})
