// `npm run mutate [-- --seeds N] [--harmless N] [--only TEXT]`: each rule undone in a copy of the tree; the simulation must notice.
import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { harmless, type Mutation, mutations } from './mutations.ts'
import { TreeCopy } from './tree-copy.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    /** Of each change that must not be noticed. */
    harmless: { type: 'string', default: '100' },
    only: { type: 'string', default: '' },
  },
})
const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const copy = new TreeCopy(root)
let wrong = 0
let tried = 0
try {
  for (const mutation of mutations) tryOut(mutation, values.seeds, true)
  for (const mutation of harmless) tryOut(mutation, values.harmless, false)
} finally {
  copy.remove()
}
console.log(`${tried} changes, ${wrong} not as expected`)
process.exitCode = wrong === 0 ? 0 : 1

function tryOut({ rule, changes }: Mutation, seeds: string, isSeenExpected: boolean): void {
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
function failureWith(changes: Mutation['changes'], seeds: string): string | undefined {
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
function firstFailure(seeds: string): string | undefined {
  const script = join(copy.folder, 'test/simulation/simulate.ts')
  try {
    execFileSync(process.execPath, [script, '--first', '--seeds', seeds], {
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
