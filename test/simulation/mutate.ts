// `npm run mutate [-- --seeds N] [--only TEXT]`: each rule undone in a copy of the tree; the simulation must notice.
import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { mutations } from './mutations.ts'
import { TreeCopy } from './tree-copy.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    only: { type: 'string', default: '' },
  },
})
const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const copy = new TreeCopy(root)
let missed = 0
try {
  for (const { rule, changes } of mutations) {
    if (!rule.includes(values.only)) continue
    const undo = copy.apply(changes)
    const found = firstFailure(values.seeds)
    undo()
    if (found === undefined) missed++
    console.log(`${found === undefined ? 'NOT SEEN' : 'seen    '}  ${rule}`)
    console.log(`          ${[...new Set(changes.map(({ file }) => file))].join(', ')}`)
    console.log(`          ${found ?? `nothing fails in ${values.seeds} seeds`}`)
  }
} finally {
  copy.remove()
}
console.log(`${mutations.length} rules, ${missed} not seen`)
process.exitCode = missed === 0 ? 0 : 1

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
