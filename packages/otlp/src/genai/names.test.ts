import { expect, test } from 'vitest'
import { genAiNames } from './names.ts'

test('a key has one meaning, and stands once in it', () => {
  const keys = Object.values(genAiNames).flat()
  expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toStrictEqual([])
})
