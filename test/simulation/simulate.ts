// `npm run simulate -- --help`: the real stages under a seeded adversary.
import process from 'node:process'
import { commandOptions, count } from '../support/command-line.ts'
import { runSeed } from './run-seed.ts'
import { World } from './world.ts'

const usage = `npm run simulate -- [options]
The real assembler, sampler and writer under a seeded adversary. Exits with 1 where an invariant does not hold.
  --seeds N     how many runs (200), a seed each
  --from N      the first of them (1)
  --coverage    also how often each thing that can go wrong went wrong
  --days        of these seeds only the one in twelve in which days pass, and retention what nobody has read
  --first       end with the first seed that shows a violation
  --seed N      this one alone
  --story       and tell it line by line
Examples: npm run simulate -- --seeds 20000 · npm run simulate -- --seed 53 --story`
const values = commandOptions(usage, {
  seeds: { type: 'string', default: '200' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  story: { type: 'boolean', default: false },
  days: { type: 'boolean', default: false },
  first: { type: 'boolean', default: false },
  coverage: { type: 'boolean', default: false },
})
/** Seeds after which a long run says how far it is. */
const progressEvery = 500
const from = count('from', values.seed ?? values.from)
const runs = values.seed === undefined ? count('seeds', values.seeds) : 1
const coverage = new Map<string, [times: number, seeds: number]>()
const beganMs = performance.now()
let failing = 0
let ran = 0
let steps = 0
for (let seed = from; seed < from + runs; seed++) {
  const done = seed - from
  if (done > 0 && done % progressEvery === 0) {
    console.error(`${done} of ${runs} seeds, ${failing} with a violation`)
  }
  if (values.days && !new World(seed).isLong) continue
  ran++
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
console.log(`${ran} seeds, ${steps} steps, ${seconds.toFixed(1)} s; ${failing} with a violation`)
if (values.coverage) {
  for (const [what, [times, seeds]] of [...coverage].sort()) {
    console.log(`  ${what.padEnd(50)} ${String(times).padStart(9)} in ${seeds} seeds`)
  }
}
process.exitCode = failing === 0 ? 0 : 1
