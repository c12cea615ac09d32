import { afterEach, expect, test } from 'vitest'
import { levelKeyBytesMax, levelPatternMistake } from './level-overrides.ts'
import { classOf, isNamedContent, levelOf, overrideLevels } from './levels.ts'

afterEach(() => overrideLevels({}))

test('what a deployment says goes before the lists, also for keys that were classed before', () => {
  expect(levelOf('acme.order.id')).toBe('content')
  expect(levelOf('session.id')).toBe('structured')
  overrideLevels({ structured: ['acme.order.id'], content: ['session.id'] })
  expect(levelOf('acme.order.id')).toBe('structured')
  expect(levelOf('session.id')).toBe('content')
  expect(levelOf('user.id_hash')).toBe('structured')
  overrideLevels({})
  expect(levelOf('acme.order.id')).toBe('content')
  expect(levelOf('session.id')).toBe('structured')
})

test('N is any number, * any rest, and the longest prefix counts', () => {
  overrideLevels({
    structural: ['acme.step.N.kind', 'acme.*'],
    structured: ['acme.order.*'],
    content: ['acme.order.note'],
  })
  const levels = {
    'acme.step.12.kind': 'structural',
    'acme.state': 'structural',
    'acme.order.id': 'structured',
    'acme.order.note': 'content',
    acme: 'content',
    'acme2.state': 'content',
  } as const
  for (const [key, level] of Object.entries(levels)) expect(levelOf(key), key).toBe(level)
})

test('who says so is told: the deployment, a list, or nobody', () => {
  overrideLevels({ structured: ['acme.*'] })
  expect(classOf('acme.order')).toEqual({
    level: 'structured',
    source: 'configured',
    pattern: 'acme.*',
  })
  expect(classOf('gen_ai.prompt.3.role')).toEqual({
    level: 'structural',
    source: 'list',
    pattern: 'gen_ai.prompt.N.role',
  })
  expect(classOf('gen_ai.memory.text')).toMatchObject({
    source: 'list',
    pattern: 'gen_ai.memory.*',
  })
  expect(classOf('foo')).toEqual({ level: 'content', source: 'unlisted', pattern: undefined })
})

test('what is content by configuration is named content, and what no list names is not', () => {
  overrideLevels({ content: ['acme.note'], structured: ['user.message'] })
  expect(isNamedContent('acme.note')).toBe(true)
  expect(isNamedContent('user.message')).toBe(false)
  expect(isNamedContent('assistant.message')).toBe(true)
  expect(isNamedContent('acme.other')).toBe(false)
})

test('a pattern that cannot be a key is a mistake', () => {
  for (const pattern of [
    'acme.id',
    'acme.items.N.sku',
    'acme.*',
    'a',
    'http.request.header.x-id',
  ]) {
    expect(levelPatternMistake(pattern), pattern).toBeUndefined()
  }
  for (const pattern of ['', '*', ' acme', 'acme id', 'ac*me', 'acme.**', '"acme"']) {
    expect(levelPatternMistake(pattern), pattern).toMatch(/give a key as|name a prefix/)
  }
  expect(levelPatternMistake('a'.repeat(levelKeyBytesMax))).toBeUndefined()
  expect(levelPatternMistake('a'.repeat(levelKeyBytesMax + 1))).toMatch(/at most 256 bytes/)
})
