// `npm run stack -- --help`: the four servers on this machine, until Ctrl-C.
import process from 'node:process'
import { commandOptions } from '../support/command-line.ts'
import { startStack } from './stack.ts'

const usage = `npm run -s stack -- [options]
Starts Kafka, Redis, OpenSearch and an S3 server on free ports of this machine, prints what makes winnow use
them as lines of an environment, and waits. Ctrl-C or SIGTERM ends them and removes what they kept.
  --json            one object on standard output instead of lines

  $ npm run -s stack > stack.env &
  $ set -a; . ./stack.env; set +a; npm run winnow -- up`

const options = commandOptions(usage, { json: { type: 'boolean', default: false } })
const told = new Promise<void>(resolve => {
  process.once('SIGINT', () => resolve())
  process.once('SIGTERM', () => resolve())
})
const startedAtMs = Date.now()
console.error('starting Kafka, Redis, OpenSearch and S3 …')
const started = await startStack({ fresh: true })
if (started.stack === undefined) {
  console.error(`there is no stack to be had here: ${started.why}`)
  process.exit(1)
}
const { env, stop } = started.stack
const lines = Object.entries(env).map(([name, value]) => `${name}=${value}\n`)
process.stdout.write(options.json ? `${JSON.stringify(env)}\n` : lines.join(''))
console.error(`ready after ${Math.round((Date.now() - startedAtMs) / 1000)} s; Ctrl-C ends them`)
await told
await stop()
process.exit(0)
