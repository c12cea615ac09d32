import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { harmless, mutations } from './mutations.ts'
import { problemOf } from './tree-copy.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')

test('each mutation still finds the text that it changes', () => {
  const problems = [...mutations, ...harmless]
    .flatMap(({ changes }) => changes)
    .flatMap(change => problemOf(readFileSync(join(root, change.file), 'utf8'), change) ?? [])
  expect(problems).toEqual([])
})
