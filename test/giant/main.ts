// `npm run giant [-- --rate 4000] [--seconds 20] [--json]`: what giants cost the others.
import process from 'node:process'
import { parseArgs } from 'node:util'
import { giantOf } from './giant-trace.ts'
import { nameOf, runGiants, violations } from './run-giant.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '4000' },
    seconds: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
})
const result = await runGiants({
  giants: [giantOf(1, 100_000, 0), giantOf(2, 2_000, 100_000)],
  rate: Number(values.rate),
  seconds: Number(values.seconds),
  say: line => values.json || console.log(line),
})
const wrong = violations(result)
if (values.json) console.log(JSON.stringify({ ...result, wrong }))
else {
  const { alone, beside, giants, largestBytes } = result
  for (const { giant, ...answer } of giants)
    console.log(`${nameOf(giant)}: ${JSON.stringify(answer)}`)
  console.log(`decision delay  p50 ${alone.p50S.toFixed(2)} s alone, ${beside.p50S.toFixed(2)} s beside them; p99 ${alone.p99S.toFixed(2)} and ${beside.p99S.toFixed(2)} s
largest records ${JSON.stringify(largestBytes)} bytes
${wrong.length === 0 ? 'holds' : wrong.join('\n')}`)
}
process.exit(wrong.length === 0 ? 0 : 1)
