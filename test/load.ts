// `npm run load [-- options]`: the program whole, in its own process, as fast as it takes spans from
// another one; then what that cost, and whether everything was decided. `--help` lists the options.
import process from 'node:process'
import { measureMemory } from './support/load/memory.ts'
import { loadOptions } from './support/load/options.ts'
import { reportOf } from './support/load/report.ts'
import { type Broker, type RunResult, runLoad } from './support/load/run.ts'
import { measureStages } from './support/load/stages.ts'
import { pidOfPort } from './support/load/usage.ts'

const options = loadOptions()
const say = (text: string): void => {
  if (!options.json) console.log(text)
}

const kafka = options.kafka ? await startBroker() : undefined
try {
  if (options.memory) {
    const result = await measureMemory(options, kafka?.broker)
    console.log(options.json ? JSON.stringify(result) : result.text)
    process.exitCode = 0
  } else if (options.stages) {
    const costs = await measureStages(options, say)
    if (options.json) console.log(JSON.stringify(costs))
  } else {
    const results: RunResult[] = []
    for (let run = 1; run <= options.runs; run++) {
      const result = await runLoad(options, kafka?.broker)
      results.push(result)
      say(`run ${run} of ${options.runs}\n${reportOf(result)}`)
    }
    const median = results.toSorted((a, b) => a.cpuPerMillion - b.cpuPerMillion)[
      Math.floor((results.length - 1) / 2)
    ] as RunResult
    if (options.json) console.log(JSON.stringify({ options, median, results }))
    else if (options.runs > 1) console.log(`median of ${options.runs}\n${reportOf(median)}`)
    process.exitCode = results.every(isWhole) ? 0 : 1
  }
} finally {
  await kafka?.stop()
}

function isWhole({ decided, traces, exitCode }: RunResult): boolean {
  return decided === traces && exitCode === 0
}

async function startBroker(): Promise<{ broker: Broker; stop: () => Promise<void> }> {
  const { startKafka } = await import('./stack/kafka.ts')
  const started = await startKafka()
  if (started.kafka === undefined) throw new Error(`no Kafka: ${started.why}`)
  const { url, broker, stop } = started.kafka
  return { broker: { url, pid: pidOfPort(Number(broker.split(':')[1])) }, stop }
}
