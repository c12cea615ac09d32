// `npm run overload -- --help`: a flood of ten times the sustainable rate, and a steady tenant beside one that floods.
import process from 'node:process'
import { commandOptions, count } from '../support/command-line.ts'
import { type FairnessResult, runFairness, unfairness } from './run-fairness.ts'
import { type OverloadResult, runOverload, thirds, violations } from './run-overload.ts'

const usage = `npm run overload -- [options]
Offers several times what the program can take, then lets one tenant flood beside a steady one. Exits with 1
where something is lost, answered otherwise than 429 or 503 with when to come again, or does not recover.
  --seconds N       of the flood (300)
  --cpu SHARE       of one core for the program, where the machine allows it (0.25)
  --factor N        times the sustainable rate (10)
  --rate N          spans a second of the steady tenant (300)
  --fair-seconds N  that it sends alone, and then beside the flood (60)
  --json            one object on standard output`
const values = commandOptions(usage, {
  seconds: { type: 'string', default: '300' },
  cpu: { type: 'string', default: '0.25' },
  factor: { type: 'string', default: '10' },
  rate: { type: 'string', default: '300' },
  'fair-seconds': { type: 'string', default: '60' },
  json: { type: 'boolean', default: false },
})
const say = (line: string): void => {
  if (!values.json) console.log(line)
}
const cpuShare = Number(values.cpu)
const overload = await runOverload({
  seconds: count('seconds', values.seconds),
  cpuShare,
  factor: count('factor', values.factor),
  say,
})
say(overloadTable(overload))
const fairness = await runFairness({
  seed: Date.now() % 1_000_000,
  rate: count('rate', values.rate),
  seconds: count('fair-seconds', values['fair-seconds']),
  cpuShare,
  say,
})
say(fairnessTable(fairness))
const wrong = [...violations(overload), ...unfairness(fairness)]
say(wrong.length === 0 ? 'holds' : wrong.join('\n'))
if (values.json) console.log(JSON.stringify({ overload, fairness, wrong }))
process.exit(wrong.length === 0 ? 0 : 1)

function overloadTable({ isLimited, flood, rssMiB, ...result }: OverloadResult): string {
  const { first, last } = thirds(rssMiB)
  return `CPU          ${isLimited ? `${values.cpu} of a core` : 'not limited: this machine does not allow it'}
offered      ${Math.round(result.offered)} spans/s for ${Math.round(flood.seconds)} s, acknowledged ${Math.round(flood.spans / flood.seconds)} of sustainable ${Math.round(result.sustainable)}
refused      ${JSON.stringify(flood.refused)} requests, ${flood.refusedWithoutWhen} without saying when to come again
acknowledged ${result.acknowledged} spans in all, ${result.ledger.received} on the bus
memory       ${first} MiB at most in the first third, ${last} in the last
afterwards   ${Math.round(result.recovered)} spans/s, before ${Math.round(result.sustainable)}
verify       ${JSON.stringify(result.ledger)}`
}

function fairnessTable({ alone, beside, flood, ledger, ...result }: FairnessResult): string {
  const { first, last } = thirds(result.rssMiB)
  const times = (of: 'p50S' | 'p99S'): string =>
    `${alone[of].toFixed(2)} s alone, ${beside[of].toFixed(2)} s beside the flood`
  return `delay p50    ${times('p50S')} (${alone.traces} and ${beside.traces} traces watched)
delay p99    ${times('p99S')}
steady       ${result.acknowledged.steady} spans acknowledged, ${ledger.steady.received} on the bus, ${result.kept} traces to keep, ${result.wrong.length} verdicts wrong
             refused ${result.refusals} times, ${result.lost} requests never taken
flood        ${Math.round(flood.spans / flood.seconds)} spans/s acknowledged; refused ${JSON.stringify(flood.refused)}, ${flood.refusedWithoutWhen} without when
memory       ${first} MiB at most in the first third, ${last} in the last`
}
