// `npm run giant -- --help`: what giants cost the others.
import process from 'node:process'
import { commandOptions, count } from '../support/command-line.ts'
import { delayViolations, nameOf, runGiants, violations } from './run-giant.ts'

const usage = `npm run giant -- [options]
A trace of 100,000 spans and one of 200 MB beside ordinary traffic, and the same traffic alone, in turns.
Exits with 1 where one is not kept whole, a record is over its bound, or the others wait longer.
  --rate N      ordinary spans a second (4000)
  --seconds N   of a window, over which the giants are sent evenly (20)
  --rounds N    a window alone and one beside giants each (3)
  --json        one object on standard output`
const values = commandOptions(usage, {
  rate: { type: 'string', default: '4000' },
  seconds: { type: 'string', default: '20' },
  rounds: { type: 'string', default: '3' },
  json: { type: 'boolean', default: false },
})
const result = await runGiants({
  seed: Date.now() % 1_000_000,
  giants: [
    { spans: 100_000, textBytes: 0 },
    { spans: 2_000, textBytes: 100_000 },
  ],
  rate: count('rate', values.rate),
  seconds: count('seconds', values.seconds),
  rounds: count('rounds', values.rounds),
  say: line => values.json || console.log(line),
})
const wrong = [...violations(result), ...delayViolations(result)]
if (values.json) console.log(JSON.stringify({ ...result, wrong }))
else {
  const { alone, beside, giants, largestBytes } = result
  for (const { giant, ...answer } of giants)
    console.log(`${nameOf(giant)}: ${JSON.stringify(answer)}`)
  const grown = 100 * (beside.p99Ms / alone.p99Ms - 1)
  console.log(`decision delay  p50 ${alone.p50Ms} ms alone, ${beside.p50Ms} ms beside them; p99 ${alone.p99Ms} and ${beside.p99Ms} ms (${grown >= 0 ? '+' : ''}${grown.toFixed(1)} %), of ${alone.traces} and ${beside.traces} traces
largest records ${JSON.stringify(largestBytes)} bytes
${wrong.length === 0 ? 'holds' : wrong.join('\n')}`)
}
process.exit(wrong.length === 0 ? 0 : 1)
