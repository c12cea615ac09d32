// `npm run mutate -- --help`: each rule undone in a copy of the tree; the simulation must notice.
import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { commandOptions, count } from '../support/command-line.ts'
import { harmless, type Mutation, mutations } from './mutations.ts'
import { TreeCopy } from './tree-copy.ts'

const usage = `npm run mutate -- [options]
Undoes the protocol's rules one by one in a copy of the tree; the simulation must see each, and must not see changes
that break no rule. Exits with 1 where one is not as expected.
  --seeds N      tried until a change is seen (4000)
  --harmless N   seeds of each change that must not be seen (100)
  --only TEXT    rules that have this in their name`
const values = commandOptions(usage, {
  seeds: { type: 'string', default: '4000' },
  harmless: { type: 'string', default: '100' },
  only: { type: 'string', default: '' },
})
const seedsMax = count('seeds', values.seeds)
const harmlessSeeds = count('harmless', values.harmless)
const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const copy = new TreeCopy(root)
let wrong = 0
let tried = 0
try {
  for (const mutation of mutations) tryOut(mutation, seedsMax, true)
  for (const mutation of harmless) tryOut(mutation, harmlessSeeds, false)
} finally {
  copy.remove()
}
console.log(`${tried} changes, ${wrong} not as expected`)
process.exitCode = wrong === 0 ? 0 : 1

function tryOut({ rule, changes }: Mutation, seeds: number, isSeenExpected: boolean): void {
  if (!rule.includes(values.only)) return
  tried++
  const found = failureWith(changes, seeds)
  const isSeen = found !== undefined
  if (isSeen !== isSeenExpected) wrong++
  const word =
    isSeen === isSeenExpected ? (isSeen ? 'seen' : 'holds') : isSeen ? 'BROKEN' : 'MISSED'
  console.log(`${word.padEnd(8)}${rule}`)
  console.log(`        ${[...new Set(changes.map(({ file }) => file))].join(', ')}`)
  console.log(`        ${found ?? `no violation in ${seeds} seeds`}`)
}

/** Where a text is no longer there nothing was tried: that is as bad as a rule that nobody sees. */
function failureWith(changes: Mutation['changes'], seeds: number): string | undefined {
  let undo: () => void
  try {
    undo = copy.apply(changes)
  } catch (error) {
    wrong++
    return (error as Error).message
  }
  const found = firstFailure(seeds)
  undo()
  return found
}

/** The first violation there is, as one line. */
function firstFailure(seeds: number): string | undefined {
  const script = join(copy.folder, 'test/simulation/simulate.ts')
  try {
    execFileSync(process.execPath, [script, '--first', '--seeds', String(seeds)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 26,
    })
    return undefined
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    const line = stdout.split('\n').find(one => one.startsWith('seed '))
    if (line === undefined) throw new Error(`the simulation itself failed: ${stderr}`)
    return line.length > 150 ? `${line.slice(0, 150)}…` : line
  }
}
