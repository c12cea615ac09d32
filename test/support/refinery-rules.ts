import { factTextBytesMax } from '@winnow/model'
import { all } from './import-traffic.ts'
import { indented } from './indented.ts'

/** A rules file whose target is this sampler. */
export const refinery = (sampler: string): string =>
  `RulesVersion: 2\nSamplers:\n  __default__:\n${indented(sampler, 4)}`
/** One rule that keeps what its conditions match, and drops all else. */
const rule = (conditions: string, scope = 'trace'): string =>
  refinery(
    `RulesBasedSampler:\n  Rules:\n    - Name: keep\n      SampleRate: 1\n      Scope: ${scope}\n      Conditions:\n${indented(conditions, 8)}\n    - Name: rest\n      Drop: true`,
  )

export const refineryTable: Readonly<Record<string, readonly [string, string, number]>> = {
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
    'bcdefg',
    0,
  ],
  matches: [rule("- { Field: http.route, Operator: matches, Value: '^/(live|x)$' }"), 'f', 0],
  exists: [rule('- { Field: tier, Operator: exists }'), 'bcf', 0],
  'not-exists': [rule('- { Field: tier, Operator: not-exists }', 'span'), 'abcdeg', 0],
  in: [rule('- { Field: code, Operator: in, Value: [200, 201], Datatype: int }'), 'ab', 0],
  'not-in': [
    rule('- { Field: code, Operator: not-in, Value: [200, 201], Datatype: int }'),
    'bcdefg',
    0,
  ],
  'in without a datatype': [rule("- { Field: code, Operator: in, Value: [200, '503'] }"), 'ag', 0],
  'not-in of what a span lacks, scope span': [
    rule(
      "- { Field: tier, Operator: not-in, Value: [gold] }\n- { Field: name, Operator: '=', Value: child }",
      'span',
    ),
    'c',
    0,
  ],
  'not-in of several fields': [
    rule('- { Fields: [root.tier, root.http.route], Operator: not-in, Value: [gold, /health] }'),
    'bcdeg',
    0,
  ],
  '!= of a text by datatype': [
    rule("- { Field: root.tier, Operator: '!=', Value: gold, Datatype: string }"),
    'abcdeg',
    0,
  ],
  '!= of a number, across types': [rule("- { Field: code, Operator: '!=', Value: 200 }"), 'bc', 0],
  '!= of a whole number': [
    rule("- { Field: code, Operator: '!=', Value: 200, Datatype: int }"),
    'bcg',
    0,
  ],
  '!= of a flag': [rule("- { Field: drop, Operator: '!=', Value: false }"), 'f', 0],
  '= false by datatype': [
    rule("- { Field: tier, Operator: '=', Value: false, Datatype: bool }"),
    'bcf',
    0,
  ],
  'a whole number cuts off': [
    rule("- { Field: ratio, Operator: '=', Value: 7, Datatype: int }"),
    'd',
    0,
  ],
  'matches what is not there': [
    rule("- { Field: root.tier, Operator: matches, Value: '.*' }"),
    all,
    0,
  ],
  'status_code =': [rule("- { Field: status_code, Operator: '=', Value: 2 }"), 'c', 0],
  'status_code >=': [rule("- { Field: status_code, Operator: '>=', Value: 1 }"), 'ac', 0],
  'status_code not-in': [rule('- { Field: status_code, Operator: not-in, Value: [0, 2] }'), 'a', 0],
  'what is made of a span': [rule('- { Field: trace.parent_id, Operator: not-exists }'), '', 1],
  'what is of span events': [rule('- { Field: exception.type, Operator: exists }'), '', 1],
  'a name of span events': [rule("- { Field: name, Operator: '=', Value: exception }"), '', 1],
  'error = false': [rule("- { Field: error, Operator: '=', Value: false }"), '', 1],
  'error != true': [rule("- { Field: error, Operator: '!=', Value: true }"), '', 1],
  'error != true as text': [
    rule("- { Field: error, Operator: '!=', Value: true, Datatype: string }"),
    all,
    0,
  ],
  'a text that is no fact': [
    rule(`- { Field: tier, Operator: '!=', Value: ${'x'.repeat(factTextBytesMax + 1)} }`),
    '',
    1,
  ],
  'a text at its limit': [
    rule(`- { Field: tier, Operator: '!=', Value: ${'x'.repeat(factTextBytesMax)} }`),
    'bcf',
    0,
  ],
  'has-root-span, scope span': [rule('- { Operator: has-root-span, Value: true }', 'span'), '', 1],
  'has-root-span': [rule('- { Operator: has-root-span, Value: false }'), 'g', 0],
  'a number of spans': [
    rule("- { Field: '?.NUM_DESCENDANTS', Operator: '>=', Value: 3, Datatype: int }"),
    'cd',
    1,
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
