// `npm run fuzz [-- --inputs 100000] [--seed N] [--target NAME]`: mutated inputs for everything that reads bytes.
import process from 'node:process'
import { parseArgs } from 'node:util'
import { runFuzz } from './run-fuzz.ts'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    target: { type: 'string' },
  },
})
const seed = Number(values.seed)
console.log(`seed ${seed}\n${'target'.padEnd(40)}  inputs   taken  refused  worst ms  heap KiB`)
try {
  await runFuzz(
    {
      inputs: Number(values.inputs),
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
