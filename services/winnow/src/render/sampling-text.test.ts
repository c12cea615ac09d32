import { expect, test } from 'vitest'
import { samplingText } from './sampling-text.ts'

test('numbers stand below each other, however long a name is', () => {
  const text = samplingText({
    since: null,
    kept: 3,
    dropped: 7,
    awaiting: 0,
    gone: 0,
    keptRatio: 0.3,
    rules: [
      { name: 'a-rule-of-ones-own-with-a-long-name', primary: 2, any: 2 },
      { name: 'ordinary', primary: 1, any: 10 },
    ],
    services: [
      { service: 'a-service-of-which-the-name-is-long', kept: 2, dropped: 3 },
      { service: '', kept: 1, dropped: 4 },
    ],
  } as Parameters<typeof samplingText>[0])
  expect(text).toMatch(/^3 of 10 traces kept \(30 %\)/)
  const ends = (pattern: RegExp) =>
    text.split('\n').flatMap(line => pattern.exec(line)?.[0].length ?? [])
  expect(new Set(ends(/^ {2}(?:rule|a-rule\S*|ordinary) +\S+ +\S+/)).size).toBe(1)
  expect(new Set(ends(/^ {2}(?:service|a-service\S*|\(none\)) +\S+ +\S+/)).size).toBe(1)
})
