import { importRefinery, importTailSampling } from '@winnow/sampler'
import { describe, expect, test } from 'vitest'
import { all, keptBy } from './support/import-traffic.ts'

// Policies of other products, imported, decide on traffic whose verdicts were worked out by hand: what
// the other product's documentation says of each trace. Spans take the way of the pipeline: encoded,
// scanned with what the imported policy names, folded, judged.

const collector = (policies: string): string =>
  `processors:\n  tail_sampling:\n    decision_wait: 10s\n    policies:\n${indented(policies, 6)}`

/** By kind: the policies, what is kept, and how many lines say that something is not expressed. */
const collectorTable: Readonly<Record<string, readonly [string, string, number]>> = {
  always_sample: ['- { name: p, type: always_sample }', all, 0],
  latency: ['- { name: p, type: latency, latency: { threshold_ms: 50 } }', 'bcdeg', 0],
  'latency, bounded': [
    '- { name: p, type: latency, latency: { threshold_ms: 50, upper_threshold_ms: 200 } }',
    'cdg',
    0,
  ],
  numeric_attribute: [
    '- { name: p, type: numeric_attribute, numeric_attribute: { key: code, min_value: 201, max_value: 500 } }',
    'bc',
    0,
  ],
  'numeric_attribute without a maximum': [
    '- { name: p, type: numeric_attribute, numeric_attribute: { key: code, min_value: 201 } }',
    'bc',
    0,
  ],
  probabilistic: [
    '- { name: p, type: probabilistic, probabilistic: { sampling_percentage: 50 } }',
    'efg',
    0,
  ],
  status_code: [
    '- { name: p, type: status_code, status_code: { status_codes: [OK, ERROR] } }',
    'ac',
    0,
  ],
  string_attribute: [
    '- { name: p, type: string_attribute, string_attribute: { key: tier, values: [gold, silver] } }',
    'bf',
    0,
  ],
  'string_attribute of a resource': [
    '- { name: p, type: string_attribute, string_attribute: { key: service.name, values: [batch] } }',
    'd',
    0,
  ],
  'string_attribute by expression': [
    "- { name: p, type: string_attribute, string_attribute: { key: http.route, values: ['^/l', heal], enabled_regex_matching: true } }",
    'af',
    0,
  ],
  'string_attribute, inverted, alone': [
    '- { name: p, type: string_attribute, string_attribute: { key: tier, values: [gold], invert_match: true } }',
    'acdeg',
    0,
  ],
  'string_attribute, inverted, beside others': [
    '- { name: p, type: string_attribute, string_attribute: { key: tier, values: [gold], invert_match: true } }\n- { name: q, type: latency, latency: { threshold_ms: 150 } }',
    'cg',
    0,
  ],
  boolean_attribute: [
    '- { name: p, type: boolean_attribute, boolean_attribute: { key: force, value: true } }',
    'e',
    0,
  ],
  span_count: [
    '- { name: p, type: span_count, span_count: { min_spans: 2, max_spans: 3 } }',
    'bc',
    0,
  ],
  trace_state: [
    '- { name: p, type: trace_state, trace_state: { key: vendor, values: [debug, loud] } }',
    'e',
    0,
  ],
  trace_flags: ['- { name: p, type: trace_flags }', 'e', 0],
  ottl_condition: [
    `- name: p
  type: ottl_condition
  ottl_condition:
    error_mode: ignore
    span:
      - 'attributes["tier"] == "gold" and name == "child"'
      - 'not (status.code != STATUS_CODE_ERROR) and IsMatch(resource.attributes["service.name"], "^w.b$")'`,
    'bc',
    0,
  ],
  'ottl_condition on events': [
    `- name: p
  type: ottl_condition
  ottl_condition:
    span: ['attributes["force"] == true', 'Len(attributes["x"]) > 1']
    spanevent: ['name == "exception"']`,
    'e',
    2,
  ],
  and: [
    `- name: p
  type: and
  and:
    and_sub_policy:
      - { name: t, type: string_attribute, string_attribute: { key: tier, values: [gold] } }
      - { name: l, type: latency, latency: { threshold_ms: 5000 } }`,
    'b',
    0,
  ],
  'and with a percentage': [
    `- name: p
  type: and
  and:
    and_sub_policy:
      - { name: t, type: string_attribute, string_attribute: { key: tier, values: [gold] } }
      - { name: r, type: probabilistic, probabilistic: { sampling_percentage: 50 } }`,
    'f',
    0,
  ],
  not: [
    `- name: p
  type: not
  not:
    not_sub_policy: { name: t, type: string_attribute, string_attribute: { key: tier, values: [gold] } }`,
    'acdeg',
    0,
  ],
  drop: [
    `- { name: p, type: always_sample }
- name: q
  type: drop
  drop:
    drop_sub_policy:
      - { name: d, type: boolean_attribute, boolean_attribute: { key: drop, value: true } }`,
    'abcdeg',
    0,
  ],
  composite: [
    `- name: p
  type: composite
  composite:
    max_total_spans_per_second: 100
    policy_order: [gold, failed]
    composite_sub_policy:
      - { name: failed, type: status_code, status_code: { status_codes: [ERROR] } }
      - { name: gold, type: string_attribute, string_attribute: { key: tier, values: [gold] } }
    rate_allocation: [{ policy: gold, percent: 50 }]`,
    'bcf',
    1,
  ],
  rate_limiting: [
    '- { name: p, type: rate_limiting, rate_limiting: { spans_per_second: 35 } }',
    '',
    1,
  ],
  bytes_limiting: [
    '- { name: p, type: bytes_limiting, bytes_limiting: { bytes_per_second: 1000 } }',
    '',
    1,
  ],
  'a kind that is not known': ['- { name: p, type: horoscope }', '', 1],
  'several, with a share of the rest': [
    `- { name: p, type: status_code, status_code: { status_codes: [ERROR] } }
- { name: q, type: probabilistic, probabilistic: { sampling_percentage: 50 } }`,
    'cefg',
    0,
  ],
}

const refinery = (sampler: string): string =>
  `RulesVersion: 2\nSamplers:\n  __default__:\n${indented(sampler, 4)}`
/** One rule that keeps what its conditions match, and drops all else. */
const rule = (conditions: string, scope = 'trace'): string =>
  refinery(
    `RulesBasedSampler:\n  Rules:\n    - Name: keep\n      SampleRate: 1\n      Scope: ${scope}\n      Conditions:\n${indented(conditions, 8)}\n    - Name: rest\n      Drop: true`,
  )

const refineryTable: Readonly<Record<string, readonly [string, string, number]>> = {
  DeterministicSampler: [refinery('DeterministicSampler: { SampleRate: 2 }'), 'efg', 0],
  DynamicSampler: [
    refinery('DynamicSampler: { SampleRate: 2, FieldList: [http.route] }'),
    'efg',
    1,
  ],
  EMADynamicSampler: [
    refinery('EMADynamicSampler: { GoalSampleRate: 2, FieldList: [http.route] }'),
    'efg',
    1,
  ],
  EMAThroughputSampler: [refinery('EMAThroughputSampler: { GoalThroughputPerSec: 9 }'), all, 1],
  TotalThroughputSampler: [refinery('TotalThroughputSampler: { GoalThroughputPerSec: 9 }'), all, 1],
  WindowedThroughputSampler: [
    refinery('WindowedThroughputSampler: { GoalThroughputPerSec: 9 }'),
    all,
    1,
  ],
  '=': [rule("- { Field: tier, Operator: '=', Value: gold }"), 'bf', 0],
  '!=': [rule("- { Field: tier, Operator: '!=', Value: gold }"), 'c', 0],
  '>': [rule("- { Field: code, Operator: '>', Value: 200 }"), 'bc', 0],
  '>= with a datatype': [
    rule("- { Field: code, Operator: '>=', Value: 500, Datatype: int }"),
    'cg',
    0,
  ],
  '<': [rule("- { Field: code, Operator: '<', Value: 201 }"), 'a', 0],
  '<=': [rule("- { Field: duration_ms, Operator: '<=', Value: 20 }"), 'abcf', 0],
  '= of a text': [rule("- { Field: code, Operator: '=', Value: 500, Datatype: string }"), 'c', 0],
  '= of a flag': [rule("- { Field: force, Operator: '=', Value: true, Datatype: bool }"), 'e', 0],
  'starts-with': [rule('- { Field: http.route, Operator: starts-with, Value: /l }'), 'f', 0],
  contains: [rule('- { Field: http.route, Operator: contains, Value: ea }'), 'a', 0],
  'does-not-contain': [
    rule('- { Field: http.route, Operator: does-not-contain, Value: ea }'),
    'f',
    0,
  ],
  matches: [rule("- { Field: http.route, Operator: matches, Value: '^/(live|x)$' }"), 'f', 0],
  exists: [rule('- { Field: tier, Operator: exists }'), 'bcf', 0],
  'not-exists': [rule('- { Field: tier, Operator: not-exists }', 'span'), 'abcdeg', 0],
  in: [rule('- { Field: code, Operator: in, Value: [200, 201], Datatype: int }'), 'ab', 0],
  'not-in': [
    rule('- { Field: code, Operator: not-in, Value: [200, 201], Datatype: int }'),
    'cg',
    0,
  ],
  'has-root-span': [rule('- { Operator: has-root-span, Value: false }'), 'g', 0],
  'a number of spans': [
    rule("- { Field: '?.NUM_DESCENDANTS', Operator: '>=', Value: 3, Datatype: int }"),
    'cd',
    0,
  ],
  'of the root': [
    rule(
      "- { Field: root.name, Operator: '=', Value: GET }\n- { Field: root.duration_ms, Operator: '>', Value: 30 }",
    ),
    'be',
    0,
  ],
  'an error': [rule("- { Field: error, Operator: '=', Value: true }"), 'c', 0],
  'one of several fields': [
    rule("- { Fields: [tier, http.route], Operator: '=', Value: /health }"),
    'a',
    0,
  ],
  'scope trace': [
    rule(
      "- { Field: tier, Operator: '=', Value: free }\n- { Field: code, Operator: '=', Value: 500 }",
    ),
    'c',
    0,
  ],
  'scope span': [
    rule(
      "- { Field: tier, Operator: '=', Value: free }\n- { Field: code, Operator: '=', Value: 500 }",
      'span',
    ),
    '',
    0,
  ],
  'scope span, on one span': [
    rule(
      "- { Field: tier, Operator: '=', Value: gold }\n- { Field: name, Operator: '=', Value: child }",
      'span',
    ),
    'b',
    0,
  ],
  'the first rule that matches': [
    refinery(`RulesBasedSampler:
  Rules:
    - { Name: probes, Drop: true, Conditions: [{ Field: drop, Operator: exists }] }
    - { Name: gold, SampleRate: 1, Conditions: [{ Field: tier, Operator: '=', Value: gold }] }
    - { Name: get, SampleRate: 2, Conditions: [{ Field: name, Operator: '=', Value: GET }] }
    - { Name: batch, Conditions: [{ Field: service.name, Operator: '=', Value: batch }], Sampler: { DeterministicSampler: { SampleRate: 1000 } } }`),
    'bceg',
    0,
  ],
  'what is not known': [rule("- { Field: meta.span_count, Operator: '>', Value: 3 }"), '', 1],
}

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

function indented(text: string, by: number): string {
  return text.replaceAll(/^/gm, ' '.repeat(by))
}
