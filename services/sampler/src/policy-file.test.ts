import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
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
