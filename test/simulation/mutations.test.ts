import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
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

test('the command undoes a rule in a copy of the tree, and the simulation sees it', {
  timeout: 120_000,
}, () => {
  const script = join(root, 'test/simulation/mutate.ts')
  const rule = 'a claim that is not ours ends what we do'
  const told = execFileSync(process.execPath, [script, '--only', rule], { encoding: 'utf8' })
  expect(told).toMatch(/^seen +a claim that is not ours.*\n.*\n +seed \d+: \[\w+\] /)
  expect(told).toMatch(/1 changes, 0 not as expected\n$/)
})
