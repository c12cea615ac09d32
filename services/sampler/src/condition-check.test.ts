import { columnBytesMax } from '@winnow/model'
import { describe, expect, test } from 'vitest'
import { checkCondition } from './condition-check.ts'
import { conditionBytesMax, functionNames } from './condition-environment.ts'
import { conditionFacts } from './condition-facts.ts'
import { patternCharsMax } from './condition-pattern.ts'

/** Each mistake as `offset: message`. */
function mistakesIn(text: string): string[] {
  const check = checkCondition(text)
  return check.ok ? [] : check.mistakes.map(({ at, message }) => `${at}: ${message}`)
}

function orderOf(text: string): string | undefined {
  const check = checkCondition(text)
  if (!check.ok) throw new Error(check.mistakes.map(({ message }) => message).join('; '))
  return check.condition.orderDependent
}

function must(text: string) {
  const check = checkCondition(text)
  if (!check.ok) throw new Error(`${text}: ${check.mistakes[0]?.message}`)
  return check.condition
}

test('every fact that is documented can be compared as its type says', () => {
  const as = {
    number: (fact: string) => `${fact} >= 2`,
    bool: (fact: string) => `${fact} || !${fact}`,
    string: (fact: string) => `${fact} == "a" || ${fact}.startsWith("b")`,
    'list of strings': (fact: string) => `"a" in ${fact} && ${fact}.exists(x, x.contains("b"))`,
    values: (fact: string) =>
      `${fact} == "a" || ${fact} > 2 || ${fact} in [1.5, 2.0] || ${fact} == true`,
    'list of spans': (fact: string) => `${fact}.exists(s, s.name == "a")`,
  }
  for (const { name, type } of conditionFacts) {
    const fact = name.replace('…', 'some.key')
    const text = as[type](fact)
    const whole = name.startsWith('s.') ? `spans.exists(s, ${text})` : text
    expect(mistakesIn(whole), whole).toEqual([])
  }
})

test('every function that is documented is one', () => {
  for (const call of ['startsWith', 'endsWith', 'contains', 'matches']) {
    expect(functionNames).toContain(call)
    expect(mistakesIn(`root.name.${call}("a") && attribute["k"].${call}("a")`)).toEqual([])
  }
  for (const text of [
    'size(services) > 2',
    'services.all(x, x == "a")',
    'services.exists_one(x, x == "a")',
    'services.filter(x, x == "a").size() > 1',
    'root.name.lowerAscii() == root.service.upperAscii()',
    'attribute["k"].isPresent()',
    'attribute["k"].asNumber() >= 500',
    'attribute["k"].asText() in ["1", "2"]',
    'attribute["k"].asBool() == true',
    '2 * costUsd + 1 > inputTokens / 3 - 1',
  ]) {
    expect(mistakesIn(text), text).toEqual([])
  }
})

describe('what is no condition is refused, with where it is and what to write', () => {
  const cases: [text: string, ...mistakes: string[]][] = [
    ['spanCnt > 3', '0: no fact is called spanCnt; did you mean spanCount?'],
    ['csat <= 2.0 && judge.scor < 0.5', '21: judge has no scor; did you mean score?'],
    [
      'spnaCount > 3 || durationMS > 5',
      '0: no fact is called spnaCount; did you mean spanCount?',
      '17: no fact is called durationMS; did you mean durationMs?',
    ],
    ['csat == "low"', '0: no such overload: number == string; compare like with like'],
    ['spanCount', '0: is a number and no condition; compare it with something'],
    ['spanCount > ', '12: Unexpected token: EOF'],
    ['attribute.isPresent()', '0: name one: attribute["…"]; what no rule names is not recorded'],
    [
      'attribute[root.name] == "a"',
      '0: its name has to be written out in quotes, so that it is recorded',
    ],
    ['attribute[":path"] == "a"', '0: the name ":path" begins with a colon'],
    ['services[0] == "a"', '0: no place by number; ask with exists or in'],
    ['has(judge.score)', '0: no function is called has; write isPresent()'],
    ['dyn(csat) == "a"', '0: no function is called dyn; docs/policies.md lists them'],
    [
      'root.name.matches("(")',
      '18: no regular expression: Invalid regular expression: /(/u: Unterminated group',
    ],
    [
      'root.name.matches("(a+)+")',
      '18: a repeated group that repeats within or has a | takes time without bound; repeat one of the two, or write [ab] for (a|b)',
    ],
    ['root.name.matches(root.service)', '18: a pattern has to be written out in quotes'],
    ['1 / 0 > 1', '4: divides by 0'],
    ['costUsd / -0.0 > 1', '10: divides by 0'],
    ['5u > spanCount', '0: write a number, a text, true or false'],
    ['root.name == b"a"', '13: write a number, a text, true or false'],
    ['services % 2 == 0', '0: % has no use in a condition'],
  ]
  test.each(cases)('%s', (text, ...mistakes) => {
    expect(mistakesIn(text)).toEqual(mistakes)
  })
})

describe('a condition looks at no content', () => {
  test.each([
    ['attribute["user.message"].contains("refund")', '0', 'user.message'],
    ['attribute["input"].isPresent()', '0', 'input'],
    ['root.attribute["url.path"] == "/"', '0', 'url.path'],
    ['spans.exists(s, s.attribute["lk.some"] == 1)', '16', 'lk.some'],
    ['attribute["gen_ai.prompt.0.content"].matches("a")', '0', 'gen_ai.prompt.0.content'],
  ])('%s', (text, at, key) => {
    expect(mistakesIn(text)).toEqual([
      `${at}: the name "${key}" is content, and what a condition looks at is kept as a fact; have the sender state an attribute of its own`,
    ])
  })

  test('of keys that no list names it does, and of members of the trace state', () => {
    expect(mistakesIn('attribute["my.tier"] == "a" && traceState["input"] == "b"')).toEqual([])
    expect(mistakesIn('attribute["gen_ai.prompt.0.role"] == "user"')).toEqual([])
  })
})

test('a message names a function as people write it', () => {
  expect(mistakesIn('size(spanCount) > 1')[0]).toContain("overload for 'size(number)'")
})

test('lists are not asked for within each other', () => {
  for (const macro of ['exists', 'all', 'exists_one']) {
    expect(mistakesIn(`spans.${macro}(s, s.name == "a")`)).toEqual([])
    const [mistake] = mistakesIn(`spans.${macro}(a, ["x"].${macro}(b, a.name == b))`)
    expect(mistake).toContain(`${macro} within another: each is asked for every one of a list`)
    expect(mistakesIn(`spans.exists(a, spans.${macro}(a, a.name == "x"))`)).toHaveLength(1)
  }
  expect(mistakesIn('services.filter(x, x != "a").exists(x, x.contains("b"))')).toEqual([])
  for (const [fact, ask] of [
    ['services', 's.name in services'],
    ['judge.labels', 's.name in judge.labels'],
    ['outcome["…"].labels', 's.name in outcome["o"].labels'],
    ['attribute["…"]', 'attribute["k"] == s.name'],
    ['traceState["…"]', 'traceState["k"].matches("a")'],
    ['spans', 'size(spans) > 1'],
  ]) {
    expect(mistakesIn(`spans.exists(s, ${ask})`).map(one => one.replace(/^\d+: /, ''))).toEqual([
      `${fact} has many values; ask for them outside of exists and its like`,
    ])
  }
  const single = 'spanCount > 1 && root.attribute["k"] == 1 && outcome["o"].failed && hasRoot'
  expect(mistakesIn(`spans.exists(s, s.attribute["k"] == 1 && ${single})`)).toEqual([])
})

test('text, patterns and names have their limits', () => {
  const padded = (bytes: number) => `spanCount > 1${' '.repeat(bytes - 13)}`
  expect(mistakesIn(padded(conditionBytesMax))).toEqual([])
  expect(mistakesIn(padded(conditionBytesMax + 1))).toEqual([
    '0: has 2049 bytes, more than 2048; make it several rules',
  ])
  const pattern = (chars: number) => `root.name.matches("${'a'.repeat(chars)}")`
  expect(mistakesIn(pattern(patternCharsMax))).toEqual([])
  expect(mistakesIn(pattern(patternCharsMax + 1))).toEqual([
    '18: a pattern of 257 characters, more than 256',
  ])
  const named = (bytes: number) => `attribute["${'k'.repeat(bytes)}"] == 1`
  expect(mistakesIn(named(columnBytesMax))).toEqual([])
  expect(mistakesIn(named(columnBytesMax + 1))[0]).toContain('has 129 bytes, more than 128')
  const deep = (depth: number) => `${'!('.repeat(depth)}hasRoot${')'.repeat(depth)}`
  expect(mistakesIn(deep(10))).toEqual([])
  expect(mistakesIn(deep(40))).toHaveLength(1)
  const nodes = (count: number) => Array.from({ length: count }, () => 'hasRoot').join('||')
  expect(mistakesIn(nodes(20))).toEqual([])
  expect(mistakesIn(nodes(200))).toHaveLength(1)
})

test('what a condition names is what is recorded for it', () => {
  const { columns, compared } = must(
    'attribute["tier"] == "gold" && root.attribute["code"] > 1 && attribute.flat == true && ' +
      'spans.exists(s, s.attribute["a"] == 1 && s.kind == "server" && s.traceState["v"] == "x") && ' +
      'traceState["w"] == "y" && "OK" in statuses && "m" in models && outcome["resolved"].failed',
  )
  expect(columns).toEqual([
    'tier',
    'code',
    'flat',
    'a',
    ':kind',
    ':state:v',
    ':state:w',
    ':status',
    ':requestModel',
    ':responseModel',
  ])
  expect(compared.map(({ text }) => text)).toEqual([
    'attribute["tier"]',
    'root.attribute["code"]',
    'attribute["flat"]',
    'traceState["w"]',
    'statuses',
    'models',
    'outcome["resolved"].failed',
  ])
})

describe('a condition that more facts can turn off depends on their order', () => {
  test.each([
    'spanCount > 100',
    '100 <= spanCount',
    'isSampled && errorCount >= 1',
    'csat <= 2.0 || judge.score < 0.5',
    'attribute["tier"] == "gold"',
    'attribute["code"].asNumber() >= 500 && attribute["k"].isPresent()',
    '"a" in services && services.exists(x, x.startsWith("b"))',
    'spans.exists(s, s.name != "a" && !(s.attribute["k"] == 1))',
    'size(services) > 2 && services.filter(x, x != "a").size() > 1',
    'inputTokens + outputTokens > 1000 && -1 * judge.score > -0.5',
    'costUsd * 2 > 1 && 5 - spanCount / 2 < 1',
    'outcome["resolved"].failed',
    '2 > 1 ? spanCount > 1 : isSampled',
  ])('it does not: %s', text => {
    expect(orderOf(text)).toBeUndefined()
  })

  test.each([
    ['spanCount < 3', 'more facts can turn `spanCount < 3` off: spanCount only grows'],
    ['!(errorCount > 0)', 'more facts can turn `!(errorCount > 0)` off: errorCount only grows'],
    ['spanCount == 3', 'more facts can turn `spanCount == 3` off: spanCount only grows'],
    ['10 / spanCount > 1', 'more facts can turn `(10 / spanCount) > 1` off: spanCount only grows'],
    ['csat > 4.0', 'more facts can turn `csat > 4.0` off: csat only falls'],
    [
      'spanCount > 3 && root.name == "a"',
      'more facts can turn `root.name == "a"` off: root.name may change',
    ],
    [
      'attribute["k"] != "a"',
      'more facts can turn `attribute["k"] != "a"` off: attribute["…"] only grows',
    ],
    [
      'spans.all(s, s.name == "a")',
      'more facts can turn `spans.all(s, s.name == "a")` off: spans only grows',
    ],
    ['5.0 in [costUsd]', 'more facts can turn `5.0 in [costUsd]` off: costUsd only grows'],
    [
      '[judge.failed].exists(x, !x)',
      'more facts can turn `[judge.failed].exists(x, !x)` off: judge.failed only grows',
    ],
    ['hasRoot && costUsd > 0.5', 'more facts can turn `hasRoot` off: hasRoot may change'],
    ['judge.passed', 'more facts can turn `judge.passed` off: judge.passed may change'],
  ])('it does: %s', (text, why) => {
    expect(orderOf(text)).toBe(why)
  })
})
