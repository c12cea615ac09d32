import { importRefinery, importTailSampling } from '@winnow/sampler'
import { describe, expect, test } from 'vitest'
import { collector, collectorTable } from './support/collector-policies.ts'
import { all, keptBy } from './support/import-traffic.ts'
import { refinery, refineryTable } from './support/refinery-rules.ts'

// Policies of other products, imported, decide on traffic whose verdicts were worked out by hand: what
// the other product's documentation says of each trace. Spans take the way of the pipeline: encoded,
// scanned with what the imported policy names, folded, judged.

describe('every documented policy of the Collector', () => {
  test.each(Object.entries(collectorTable))('%s', (_, [policies, kept, lost]) => {
    const imported = importTailSampling(collector(policies), 'collector.yaml')
    expect(imported.lines[0]).toContain('decision_wait: note: a trace closes by assembler.quiet')
    expectVerdicts(imported, kept, lost)
  })
})

describe('every documented sampler and operator of Refinery', () => {
  test.each(Object.entries(refineryTable))('%s', (_, [text, kept, lost]) => {
    expectVerdicts(importRefinery(text, 'rules.yaml'), kept, lost)
  })
})

test('what is lost stands at the rule, and a drop is said to depend on order', () => {
  const [policies] = collectorTable.drop as readonly [string, string, number]
  const { yaml, lines } = importTailSampling(collector(policies), 'collector.yaml')
  expect(yaml).toContain('# What the Collector calls a policy is a rule here')
  expect(yaml).toContain(
    '  # p: note: order-dependent: more facts can turn `!(attribute["drop"] == true)`',
  )
  expect(lines).toContain(
    'drop: note: joined to every rule as what must not be; that cannot be monotone',
  )
})

test('a target of Refinery is taken by name, and others are said', () => {
  const text = `${refinery('DeterministicSampler: { SampleRate: 2 }')}\n  prod:\n    DeterministicSampler: { SampleRate: 1 }\n`
  const { lines } = importRefinery(text, 'rules.yaml')
  expect(lines).toEqual(['prod: not expressed: another target; --target prod imports it'])
  expectVerdicts(importRefinery(text, 'rules.yaml', { target: 'prod' }), all, 1)
  expect(() => importRefinery(text, 'rules.yaml', { target: 'test' })).toThrow(
    /one of __default__, prod/,
  )
  expect(() => importRefinery('a: 1', 'rules.yaml')).toThrow(/no Samplers/)
  expect(() => importTailSampling('processors: {}', 'c.yaml')).toThrow(/no processor tail_sampling/)
})

function expectVerdicts(
  { yaml, lines, isWhole }: ReturnType<typeof importRefinery>,
  kept: string,
  lost: number,
): void {
  expect(keptBy(yaml), yaml).toBe(kept)
  expect(lines.filter(line => line.includes('not expressed'))).toHaveLength(lost)
  expect(isWhole).toBe(lost === 0)
}
