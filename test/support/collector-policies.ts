import { factTextBytesMax } from '@winnow/model'
import { all } from './import-traffic.ts'
import { indented } from './indented.ts'

/** A configuration with these policies. */
export const collector = (policies: string): string =>
  `processors:\n  tail_sampling:\n    decision_wait: 10s\n    policies:\n${indented(policies, 6)}`

/** By kind: the policies, what is kept, and how many lines say that something is not expressed. */
export const collectorTable: Readonly<Record<string, readonly [string, string, number]>> = {
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
  'composite with an inverted policy, beside others': [
    `- { name: q, type: latency, latency: { threshold_ms: 5000 } }
- name: p
  type: composite
  composite:
    composite_sub_policy:
      - { name: t, type: string_attribute, string_attribute: { key: tier, values: [gold], invert_match: true } }`,
    'abcdeg',
    1,
  ],
  'inverted, beside one that keeps nothing': [
    `- { name: p, type: string_attribute, string_attribute: { key: tier, values: [gold], invert_match: true } }
- { name: q, type: probabilistic, probabilistic: { sampling_percentage: 0 } }`,
    '',
    0,
  ],
  'inverted, beside one that is left out': [
    `- { name: p, type: string_attribute, string_attribute: { key: tier, values: [gold], invert_match: true } }
- { name: q, type: rate_limiting, rate_limiting: { spans_per_second: 35 } }`,
    '',
    1,
  ],
  'a threshold from the environment': [
    `- { name: p, type: latency, latency: { threshold_ms: '\${env:T}' } }`,
    '',
    1,
  ],
  'a percentage from the environment': [
    `- { name: p, type: probabilistic, probabilistic: { sampling_percentage: '\${env:P}' } }`,
    '',
    1,
  ],
  'a number that is none': [
    '- { name: p, type: span_count, span_count: { min_spans: many } }\n- { name: q, type: span_count, span_count: { min_spans: true } }',
    '',
    2,
  ],
  'a number that is a text': [
    "- { name: p, type: latency, latency: { threshold_ms: '150' } }",
    'bcg',
    0,
  ],
  'a flag and a text from the environment': [
    `- { name: p, type: boolean_attribute, boolean_attribute: { key: force, value: '\${env:F}' } }\n- { name: q, type: string_attribute, string_attribute: { key: tier, values: ['\${env:V}'] } }`,
    '',
    2,
  ],
  'ottl_condition on the order of a status or a kind': [
    `- name: p
  type: ottl_condition
  ottl_condition:
    span: ['status.code >= 1', 'kind > 2', 'status.code == 2']`,
    'c',
    2,
  ],
  'a bound of 0': [
    '- { name: p, type: numeric_attribute, numeric_attribute: { key: code, min_value: 201, max_value: 0 } }',
    '',
    1,
  ],
  'a text that is no fact': [
    `- { name: p, type: string_attribute, string_attribute: { key: tier, values: [${'x'.repeat(factTextBytesMax + 1)}] } }
- { name: q, type: ottl_condition, ottl_condition: { span: ['name == "${'x'.repeat(factTextBytesMax + 1)}"'] } }`,
    '',
    2,
  ],
  'a text at its limit': [
    `- { name: p, type: string_attribute, string_attribute: { key: tier, values: [gold, ${'x'.repeat(factTextBytesMax)}] } }`,
    'bf',
    0,
  ],
  'ottl_condition on a span and its resource': [
    `- name: p
  type: ottl_condition
  ottl_condition:
    span: ['resource.attributes["tier"] == "gold" and attributes["tier"] == nil']`,
    '',
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
