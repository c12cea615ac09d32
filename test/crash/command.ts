// `npm run crash -- [--kafka] [--kills 20] [--seed N] [--term]`: real processes under traffic, killed with -9 again and
// again; with --term by SIGTERM instead. Prints a line a kill and the final balance; exits with 1 on any violation.
import { randomInt, randomUUID } from 'node:crypto'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { startKafka } from '../stack/kafka.ts'
import { CrashRun, type Kill } from './crash-run.ts'
import { type System, targetsSystem, upSystem } from './systems.ts'

const { values } = parseArgs({
  options: {
    kafka: { type: 'boolean', default: false },
    kills: { type: 'string', default: '20' },
    term: { type: 'boolean', default: false },
    seed: { type: 'string', default: `${randomInt(2 ** 31)}` },
  },
})
const seed = Number(values.seed)
const kills = Number(values.kills)
const say = (line: string): void => console.error(line)

let stopBroker = async (): Promise<void> => {}
const system = values.kafka ? await onKafka() : await upSystem()
process.exitCode = 1
try {
  console.log(`seed ${seed}: ${kills} kills of ${system.names.join(', ')}`)
  const run = new CrashRun({ seed, system, say })
  const done: Kill[] = []
  for (let n = 0; n < kills; n++) {
    const name = system.names[n % system.names.length] ?? ''
    const kill = await (values.term ? run.stopAndStart(name) : run.kill(name))
    done.push(kill)
    say(`kill ${n + 1} of ${kills}: ${JSON.stringify(kill)}`)
  }
  const { figures, kept, dropped, violations } = await run.account()
  console.table(done)
  console.log('balance', { ...figures, keptByApi: kept, droppedByApi: dropped })
  const { refused, unanswered } = run.traffic
  console.log(`sent again: ${refused} refused for now, ${unanswered} without an answer`)
  console.log(violations.length === 0 ? 'nothing lost, nothing twice' : violations.join('\n'))
  if (violations.length === 0) process.exitCode = 0
} finally {
  await system.remove()
  await stopBroker()
}
// Connections that were kept alive are nobody's any more.
process.exit()

async function onKafka(): Promise<System> {
  const started = await startKafka({ fresh: true })
  if (started.kafka === undefined) throw new Error(`no Kafka broker to be had: ${started.why}`)
  const { kafka } = started
  stopBroker = () => kafka.stop()
  return targetsSystem(kafka.url, `crash-${randomUUID().slice(0, 8)}`)
}
