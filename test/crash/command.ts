// `npm run crash -- --help`: real processes under traffic, killed with -9 again and again.
import { randomUUID } from 'node:crypto'
import process from 'node:process'
import { startKafka } from '../stack/kafka.ts'
import { CrashRun, type Kill } from './crash-run.ts'
import { type CrashOptions, crashOptions } from './options.ts'
import { killLine, totalLine } from './report.ts'
import { type System, targetsSystem, upSystem } from './systems.ts'

let stopBroker = async (): Promise<void> => {}
const options = crashOptions()
process.exitCode = 1
const found = await crash(options).catch((error: unknown) => [
  error instanceof Error ? (error.stack ?? error.message) : String(error),
])
if (found.length === 0) console.log('HOLDS: nothing lost, nothing twice, every verdict right')
else console.log(`FAILED (seed ${options.seed}): ${found.length} violations\n${found.join('\n')}`)
// Connections that were kept alive are nobody's any more.
process.exit(found.length === 0 ? 0 : 1)

/** All that contradicts that nothing was lost and nothing is there twice. */
async function crash({ kills, isKafka, isTerm, seed }: CrashOptions): Promise<readonly string[]> {
  const say = (line: string): void => console.error(line)
  const system = isKafka ? await onKafka() : await upSystem()
  try {
    console.log(`seed ${seed}: ${kills} kills of ${system.names.join(', ')}`)
    const run = new CrashRun({ seed, system, say })
    const done: Kill[] = []
    for (let n = 0; n < kills; n++) {
      const name = system.names[n % system.names.length] ?? ''
      const kill = await (isTerm ? run.stopAndStart(name) : run.kill(name))
      done.push(kill)
      console.log(killLine(kill, n + 1, kills))
    }
    console.log(totalLine(done))
    say('ending the traffic; waiting until all is decided …')
    const { figures, kept, dropped, violations } = await run.account()
    console.log('balance', { ...figures, keptByApi: kept, droppedByApi: dropped })
    const { refused, unanswered } = run.traffic
    console.log(`sent again: ${refused} refused for now, ${unanswered} without an answer`)
    return violations
  } finally {
    await system.remove()
    await stopBroker()
  }
}

async function onKafka(): Promise<System> {
  const started = await startKafka({ fresh: true })
  if (started.server === undefined) throw new Error(`no Kafka broker to be had: ${started.why}`)
  const kafka = started.server
  stopBroker = () => kafka.stop()
  return targetsSystem(kafka.url, `crash-${randomUUID().slice(0, 8)}`)
}
