// `npm run load [-- options]`: the program whole, in its own process, as fast as it takes spans from
// another one; then what that cost, and whether everything was decided. `--help` lists the options.
import process from 'node:process'
import { groundOf } from './support/load/ground.ts'
import { measureMemory } from './support/load/memory.ts'
import { loadOptions } from './support/load/options.ts'
import { reportOf } from './support/load/report.ts'
import { type RunResult, runLoad } from './support/load/run.ts'
import { measureStages } from './support/load/stages.ts'

const options = loadOptions()
const say = (text: string): void => {
  if (!options.json) console.log(text)
}

const { ground, stop } = await groundOf(options)
try {
  if (options.memory) {
    const result = await measureMemory(options, ground)
    console.log(options.json ? JSON.stringify(result) : result.text)
    process.exitCode = 0
  } else if (options.stages) {
    const costs = await measureStages(options, say)
    if (options.json) console.log(JSON.stringify(costs))
  } else {
    const results: RunResult[] = []
    for (let run = 1; run <= options.runs; run++) {
      const result = await runLoad(options, ground)
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
  await stop()
}

function isWhole({ decided, traces, exitCode }: RunResult): boolean {
  return decided === traces && exitCode === 0
}
