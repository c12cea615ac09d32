import { expect, test } from 'vitest'
import { outcomeRulesMax, outcomesConfigSchema } from './outcomes-config.ts'

const mistakes = (input: unknown): string[] =>
  outcomesConfigSchema
    .safeParse(input)
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []

test('an attribute, an evaluation or a score becomes an outcome, with the conditions that were given', () => {
  expect(outcomesConfigSchema.parse(undefined)).toEqual([])
  expect(
    outcomesConfigSchema.parse([
      { from: { evaluation: 'toxicity' }, to: 'toxicity', failWhen: { scoreAbove: 0.7 } },
      { from: { attribute: 'app.stars' }, to: 'csat' },
      { from: { score: 'thumb' }, to: 'judge', passWhen: { label: ['up'] } },
    ]),
  ).toEqual([
    { from: { evaluation: 'toxicity' }, to: 'toxicity', failWhen: { scoreAbove: 0.7 } },
    { from: { attribute: 'app.stars' }, to: 'csat' },
    { from: { evaluation: 'thumb' }, to: 'judge', passWhen: { label: ['up'] } },
  ])
})

test('every mistake is named with its place and the remedy', () => {
  expect(
    mistakes([
      { from: { attribute: 'judge.score' }, to: 'csat' },
      { from: { attribute: 'app.*' }, to: 'csat' },
      { from: { evaluation: 'a' }, to: 'csat' },
      { from: { score: 'a' }, to: 'judge' },
    ]),
  ).toEqual([
    expect.stringMatching(/^0\.from: judge\.score has a meaning of its own/),
    expect.stringMatching(/^1\.from: ends with a star/),
    expect.stringMatching(/^3\.from: is mapped twice/),
  ])
  expect(
    mistakes([
      { from: { attribute: 'a', evaluation: 'b' }, to: 'csat' },
      { from: { evaluation: 'c' }, to: 'x', failWhen: {} },
      { from: { evaluation: 'd' }, to: '', failIf: {} },
    ]).join('\n'),
  ).toMatch(/0\.from: give one of[\s\S]*1\.failWhen: is empty[\s\S]*2\.to[\s\S]*failIf/)
})

test('outcomeRulesMax lines are taken, one more is not; a name at its limit is, one byte longer is not', () => {
  const lines = (count: number) =>
    Array.from({ length: count }, (_, n) => ({ from: { evaluation: `e${n}` }, to: 'x' }))
  expect(mistakes(lines(outcomeRulesMax))).toEqual([])
  expect(mistakes(lines(outcomeRulesMax + 1))).toHaveLength(1)
  const to = (bytes: number) => [{ from: { attribute: 'a'.repeat(128) }, to: 'x'.repeat(bytes) }]
  expect([mistakes(to(56)), mistakes(to(57))]).toEqual([[], [expect.stringContaining('56 bytes')]])
})
