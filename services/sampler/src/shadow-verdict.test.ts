import type { Decision } from '@winnow/model'
import { expect, test } from 'vitest'
import { type FixtureSpan, root, slice, summary, traceIdOf } from './fixtures.ts'
import { parsePolicy } from './policy-file.ts'
import { type RevisionContext, revise } from './revise.ts'
import { revisionContext } from './revision.fixture.ts'
import { compilePolicy } from './rules.ts'

const compiled = (rules: string, more = '') =>
  compilePolicy(parsePolicy(`version: v\nrules: [${rules}]\n${more}`))
const errors = '{ kind: span-error }, { kind: ordinary, probability: 0 }'
const perMinute = (figure: number, rule = 'span-error') =>
  `ceilings: [{ rule: ${rule}, perMinute: ${figure} }]`

const id = traceIdOf(1)
const failed: FixtureSpan = { id: 1, error: true }

/** The live policy's ceiling leaves a match a quarter, which the trace's draw is not in. */
function decided(live: RevisionContext['policy'], shadow: RevisionContext['policy']): Decision {
  const limit = live.policy.ceilings?.[0]?.perMinute ?? 0
  const part = { probability: 0.25, ceiling: limit, per: 'minute' } as const
  const ceiling = live.policy.ceilings === undefined ? {} : { ceiling: () => part }
  const evidence = summary(id, [slice(0, [failed], root(10))])
  const own = revisionContext(live, { shadow, ...ceiling })
  const revision = revise(undefined, [{ evidence, appendedAtMs: 2_000 }], own)
  return revision?.decision as Decision
}

test('what a ceiling of the live policy takes away, a shadow without it keeps', () => {
  const live = compiled(errors, perMinute(60))
  expect(decided(live, compiled(errors))).toMatchObject({
    verdict: 'drop',
    probability: 0.25,
    shadow: { verdict: 'keep', primary: 'span-error', probability: 1 },
  })
  expect(decided(live, compiled(errors, perMinute(600))).shadow?.verdict).toBe('keep')
})

test('a rule that has the same ceiling in both policies has one answer', () => {
  const live = compiled(errors, perMinute(60))
  const other = '{ kind: low-csat }, { kind: span-error, name: mine }, { kind: ordinary }'
  for (const shadow of [compiled(errors, perMinute(60)), compiled(other, perMinute(60, 'mine'))]) {
    expect(decided(live, shadow).shadow).toMatchObject({ verdict: 'drop', probability: 0.25 })
  }
})

test('a condition of the shadow reads how the trace was closed', () => {
  const asks = `{ kind: condition, name: c, when: 'complete' }, { kind: ordinary, probability: 0 }`
  const decision = decided(compiled('{ kind: ordinary, probability: 0 }'), compiled(asks))
  expect(decision.complete).toBe(true)
  expect(decision.shadow).toMatchObject({ verdict: 'keep', primary: 'c' })
})
