import { readFileSync } from 'node:fs'
import { columnsMax } from '@winnow/model'
import { expect, test } from 'vitest'
import { policyColumns } from './policy-conditions.ts'
import { checkPolicy, defaultPolicy, kinds, parsePolicy, rulesMax } from './policy-file.ts'

const ordinary = '  - kind: ordinary\n'

test('without a file each kind is in force once, in the documented order', () => {
  expect(defaultPolicy.rules.map(rule => [rule.kind, rule.probability])).toEqual([
    ['span-error', 1],
    ['judge-failed', 1],
    ['citation-failed', 1],
    ['low-csat', 1],
    ['outcome-failed', 1],
    ['slow', 1],
    ['active-variant', 1],
    ['ordinary', 0.1],
  ])
})

test('the version is the given one and a hash that changes with the rules alone', () => {
  const of = (text: string) => parsePolicy(text).version
  const a = of(`version: '7'\nrules:\n${ordinary}`)
  expect(a).toMatch(/^7-[0-9a-f]{8}$/)
  expect(of(`# a comment\nversion: '7'\nrules: [{ kind: ordinary, probability: 0.1 }]`)).toBe(a)
  expect(of(`version: '7'\nrules: [{ kind: ordinary, probability: 0.2 }]`)).not.toBe(a)
})

test('all mistakes come at once, each with its place and a remedy', () => {
  const { ok, mistakes } = checkPolicy(`
version: a b
colour: red
rules:
  - { kind: span-error, probabilty: 1 }
  - kind: ordinary
  - { kind: low-csat, atMost: 9 }
  - { kind: slo }
  - { kind: slow, name: span-error }
  - kind: active-variant
    variants:
      - { experiment: a, variant: B, dailyCap: 5 }
      - { experiment: a, variant: B, dailyCap: 5, until: 2026-01-01 }
`)
  expect(ok).toBe(false)
  const text = mistakes.join('\n')
  for (const part of [
    'version: takes letters',
    'colour; correct the spelling',
    'rules[0]: unknown probabilty',
    'rules[2].atMost',
    '(it is 9)',
    'rules[3].kind: no such kind of rule; there are span-error',
    'rules[2]: comes after the catch-all',
    'rules[4]: "span-error" is used before',
    'rules[5].variants[0].until: missing or of the wrong type; wants a time with its zone',
    'rules[5].variants[1].until',
    'rules[5].variants[1]: is listed before',
  ]) {
    expect(text).toContain(part)
  }
})

test('of what somebody wrote 64 characters are shown', () => {
  const long = 'x'.repeat(1_000)
  const { mistakes } = checkPolicy(
    `version: "${long} "\n${long}: 1\nrules: [{ kind: ${long} }, { kind: ordinary }]`,
  )
  expect(mistakes.join('\n')).toContain(`(it is "${'x'.repeat(63)}…)`)
  expect(Math.max(...mistakes.map(mistake => mistake.length))).toBeLessThan(300)
})

test('a file without catch-all is refused', () => {
  expect(checkPolicy('version: a\nrules: [{ kind: span-error }]').mistakes).toEqual([
    'rules: end with `- kind: ordinary`, or nothing says what becomes of the rest',
  ])
})

test('a name that decisions use for something else is refused', () => {
  const text = `version: a\nrules:\n  - { kind: slow, name: requested }\n${ordinary}`
  expect(checkPolicy(text).mistakes.join()).toContain('reserved')
})

test('the number of rules is bounded, at the limit and one past it', () => {
  const file = (count: number): string => {
    const rules = Array.from({ length: count - 1 }, (_, i) => `  - { kind: slow, name: r${i} }\n`)
    return `version: a\nrules:\n${rules.join('')}${ordinary}`
  }
  expect(checkPolicy(file(rulesMax)).ok).toBe(true)
  expect(checkPolicy(file(rulesMax + 1)).ok).toBe(false)
})

test('what is no mapping, or no YAML, is a mistake and not an exception', () => {
  const bomb = `a: &a [x]\n${[...'bcdefghi'].map((k, i) => `${k}: &${k} [${`*${'abcdefgh'[i]},`.repeat(9)}]\n`).join('')}`
  for (const text of ['', '- a', 'a: [', 'version: a\nrules: 5', 'rules: [null]', bomb]) {
    const check = checkPolicy(text)
    expect(check.ok, text.slice(0, 20)).toBe(false)
    expect(check.mistakes.length).toBeGreaterThan(0)
  }
  expect(() => parsePolicy('', 'policy.yaml')).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('policy.yaml'),
    }),
  )
})

test('the policy that the README shows is a good one, of every kind', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const yaml = /```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  const check = checkPolicy(yaml)
  expect(check.mistakes).toEqual([])
  expect(check.policy?.rules.map(rule => rule.kind)).toEqual(kinds)
})

test('a condition is refused with its line and column, however the file quotes it', () => {
  const { mistakes } = checkPolicy(`version: '1'
rules:
  - { kind: condition, name: a, when: spanCnt > 3 }
  - kind: condition
    name: b
    when: 'attribute["it''s"] == 1 && csat < "low"'
  - kind: condition
    name: c
    when: "attribute[\\"tier\\"] == 1 && spanCnt > 3"
  - kind: condition
    name: d
    when: |
      hasRoot &&
        spanCnt > 3
  - kind: condition
    name: e
    when: >-

      hasRoot &&
      spanCnt > 3
  - kind: condition
    when: hasRoot
  - { kind: condition, name: g, when: '' }
  - kind: condition
    name: h
    when: hasRoot &&
      spanCnt > 3
  - kind: ordinary
`)
  const unknown = 'no fact is called spanCnt; did you mean spanCount?'
  expect(mistakes).toEqual([
    expect.stringContaining('rules[5].name: missing or of the wrong type'),
    expect.stringContaining('rules[6].when'),
    `3:39: rules[0].when: ${unknown}`,
    '6:39: rules[1].when: no such overload: number < string; compare like with like',
    `9:40: rules[2].when: ${unknown}`,
    `14:9: rules[3].when: ${unknown}`,
    `20:7: rules[4].when: ${unknown}`,
    `27:7: rules[7].when: ${unknown}`,
  ])
})

test('a condition that depends on the order of facts is noted with its place, and is no mistake', () => {
  const check = checkPolicy(`version: '1'
rules:
  - { kind: condition, name: few, when: spanCount < 3 }
  - { kind: condition, name: many, when: spanCount > 30 }
  - { kind: condition, name: quiet, when: "csat > 4 || csat <= 2" }
${ordinary}`)
  expect(check.ok && check.notes).toEqual([
    '3:41: rules[0].when: order-dependent: more facts can turn `spanCount < 3` off: spanCount only grows',
    '5:44: rules[2].when: order-dependent: more facts can turn `csat > 4` off: csat only falls',
  ])
})

test('conditions name at most columnsMax attributes together', () => {
  const of = (count: number) =>
    checkPolicy(
      `version: '1'\nrules:\n${Array.from({ length: count }, (_, at) => `  - { kind: condition, name: c${at}, when: 'attribute["k${at}"] == 1' }\n`).join('')}${ordinary}`,
    )
  expect(of(columnsMax).ok).toBe(true)
  expect(of(columnsMax + 1).mistakes).toEqual([
    'rules: the conditions name 33 attributes and fields of spans, more than 32; name fewer',
  ])
})

test('the columns of a policy are those of its conditions', () => {
  const policy = parsePolicy(`version: '1'
rules:
  - { kind: condition, name: a, when: 'attribute["x"] == 1 || "m" in models' }
  - { kind: condition, name: b, when: 'attribute["x"] == 2 || spans.exists(s, s.name == "q")' }
${ordinary}`)
  expect(policyColumns(policy)).toEqual(['x', ':requestModel', ':responseModel', ':name'])
  expect(policyColumns(defaultPolicy)).toEqual([])
})
