// `npm run rival`: the load of `npm run load` against a Collector that samples tails, see builder.yaml.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { commandOptions, count, wrongUse } from '../support/command-line.ts'
import { startGenerator } from '../support/load/generator-process.ts'
import { cpuSeconds, memoryMiB } from '../support/load/usage.ts'

const usage = `npm run rival -- --program FILE [options]
  --program FILE    the Collector that builder.yaml describes
  --spans N         after the warm-up (1000000)
  --warm-up N       spans before it (200000)
  --connections N   (32)`

/** As in collector.yaml. */
const address = '127.0.0.1:14318'
const decisionWaitMs = 10_000
const startMs = 2_000

const values = commandOptions(usage, {
  program: { type: 'string' },
  spans: { type: 'string', default: '1000000' },
  'warm-up': { type: 'string', default: '200000' },
  connections: { type: 'string', default: '32' },
})
const program = values.program ?? wrongUse(`--program is missing\n${usage}`)
const config = join(import.meta.dirname, 'collector.yaml')
const collector = spawn(program, ['--config', config], { stdio: 'inherit' })
collector.once('error', ({ message }) => wrongUse(`--program is ${program}: ${message}`))
await once(collector, 'spawn')
const pid = collector.pid as number
const generator = startGenerator()
try {
  const connections = count('connections', values.connections)
  await sleep(startMs)
  await generator.drive({ address, connections, spans: count('warm-up', values['warm-up']) })
  await sleep(decisionWaitMs + startMs)
  const before = cpuSeconds(pid)
  const driven = await generator.drive({
    address,
    connections,
    spans: count('spans', values.spans),
  })
  await sleep(decisionWaitMs + startMs)
  const perMillion = ((cpuSeconds(pid) - before) / driven.spans) * 1e6
  const rate = Math.round(driven.spans / driven.seconds)
  const { peak } = memoryMiB(pid)
  const refused = JSON.stringify(driven.refused)
  console.log(
    `${rate} spans/s, ${perMillion.toFixed(1)} CPU-s per million spans, ${peak} MiB at most, refused ${refused}`,
  )
} finally {
  generator.stop()
  collector.kill('SIGTERM')
}
