// `npm run fuzz -- --help`: mutated inputs for everything that reads bytes.
import process from 'node:process'
import { commandOptions, count } from '../support/command-line.ts'
import { runFuzz } from './run-fuzz.ts'

const usage = `npm run fuzz -- [options]
Mutated inputs for everything that reads bytes. Exits with 1 on a crash, on more than 100 ms and on memory that grows.
  --inputs N      over all targets (100000)
  --seed N        of the mutations (by the clock; it is printed)
  --target NAME   this one alone, as the table names it`
const values = commandOptions(usage, {
  inputs: { type: 'string', default: '100000' },
  seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  target: { type: 'string' },
})
const seed = count('seed', values.seed, 0)
console.log(`seed ${seed}\n${'target'.padEnd(40)}  inputs   taken  refused  worst ms  heap KiB`)
try {
  await runFuzz(
    {
      inputs: count('inputs', values.inputs),
      seed,
      ...(values.target !== undefined && { only: values.target }),
    },
    ({ name, inputs, taken, refused, worstMs, grownBytes }) => {
      const figures = [inputs, taken, refused, Math.round(worstMs), Math.round(grownBytes / 1024)]
      console.log(`${name.padEnd(40)} ${figures.map(one => String(one).padStart(8)).join(' ')}`)
    },
  )
} catch (error) {
  console.error(error)
  process.exit(1)
}
