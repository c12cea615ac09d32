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

test('settings and processors that have no place here are said', () => {
  const policies = '    policies: [{ name: p, type: always_sample }]'
  const text = `processors:
  tail_sampling:
    decision_wait_after_root_received: 5s
    sample_on_first_match: true
${policies}
  tail_sampling/second:
${policies}`
  expect(importTailSampling(text, 'c.yaml')).toMatchObject({
    isWhole: false,
    lines: [
      'tail_sampling/second: not expressed: another processor; only tail_sampling is imported',
      'decision_wait_after_root_received: not expressed: a setting that has no place here',
      'sample_on_first_match: not expressed: every rule is asked, and a later one that vetoes counts',
    ],
  })
  expect(
    importTailSampling(text.replace('match: true', 'match: false'), 'c.yaml').lines,
  ).toHaveLength(2)
})

test('where a pattern, a number or an attribute is looked for differently it is noted', () => {
  const { lines, isWhole } = importTailSampling(
    collector(`- { name: r, type: string_attribute, string_attribute: { key: tier, values: [g], enabled_regex_matching: true } }
- { name: n, type: numeric_attribute, numeric_attribute: { key: code, min_value: 201 } }
- { name: o, type: ottl_condition, ottl_condition: { span: ['IsMatch(attributes["tier"], "g")'] } }`),
    'c.yaml',
  )
  expect(isWhole).toBe(true)
  const tooLong = 'a text of more than 64 bytes is no fact here, and matches nothing'
  expect(lines).toEqual(
    expect.arrayContaining([
      `r: note: ${tooLong}`,
      'n: note: a double or a text counts as 0 there; here a double compares, a text does not',
      `o: note: IsMatch: ${tooLong}`,
      "o: note: attributes and resource.attributes are one here: the span's, else its resource's",
    ]),
  )
})

test('what Refinery looks at and is not looked at here is noted', () => {
  const conditions = '[{ Field: http.route, Operator: contains, Value: ea }]'
  const text = refinery(
    `RulesBasedSampler: { Rules: [{ SampleRate: 1, Conditions: ${conditions} }] }`,
  )
  expect(importRefinery(text, 'r.yaml').lines).toEqual([
    'Conditions: note: span events and links are looked at as spans are there, and not at all here',
    'rule-1: note: contains: a text of more than 64 bytes is no fact here, and matches nothing',
  ])
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
