// `npm run simulate -- --seeds 20000 [--from N] [--seed N [--story]]`: the real stages under a seeded adversary.
import process from 'node:process'
import { parseArgs } from 'node:util'
import { runSeed } from './run-seed.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    story: { type: 'boolean', default: false },
    first: { type: 'boolean', default: false },
    coverage: { type: 'boolean', default: false },
  },
})
const from = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
const coverage = new Map<string, [times: number, seeds: number]>()
const beganMs = performance.now()
let failing = 0
let steps = 0
for (let seed = from; seed < from + count; seed++) {
  const run = await runSeed(seed, values.story ? line => console.log(line) : undefined)
  steps += run.steps
  for (const [what, times] of run.coverage) {
    const known = coverage.get(what) ?? [0, 0]
    coverage.set(what, [known[0] + times, known[1] + 1])
  }
  if (run.violations.length === 0) continue
  failing++
  for (const { invariant, what } of run.violations.slice(0, 12)) {
    console.log(`seed ${seed}: [${invariant}] ${what}`)
  }
  console.log(`  replay: npm run simulate -- --seed ${seed} --story`)
  if (values.first) break
}
const seconds = (performance.now() - beganMs) / 1000
console.log(`${count} seeds, ${steps} steps, ${seconds.toFixed(1)} s; ${failing} with a violation`)
if (values.coverage) {
  for (const [what, [times, seeds]] of [...coverage].sort()) {
    console.log(`  ${what.padEnd(50)} ${String(times).padStart(9)} in ${seeds} seeds`)
  }
}
process.exitCode = failing === 0 ? 0 : 1
