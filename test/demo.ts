// `npm run demo [-- --exit] [--kafka]`: `winnow up --demo` in a folder of its own. With --kafka a real
// broker is started first and the same command runs through it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'

const arguments_ = process.argv.slice(2)
const onKafka = arguments_.includes('--kafka')
const data = mkdtempSync(join(tmpdir(), 'winnow-demo-'))
const broker = onKafka ? await startBroker() : undefined
const free = ['--otlp-grpc', '--otlp-http', '--api', '--metrics'].flatMap(name => [
  name,
  '127.0.0.1:0',
])

const program = resolve(import.meta.dirname, '../services/winnow/bin/winnow.mjs')
const child = spawn(
  process.execPath,
  [
    program,
    'up',
    '--demo',
    '--data',
    data,
    ...free,
    ...arguments_.filter(one => one !== '--kafka'),
  ],
  {
    stdio: 'inherit',
    env: { ...process.env, ...(broker !== undefined && { WINNOW_BUS: broker.url }) },
  },
)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
const [code] = (await once(child, 'exit')) as [number | null]
await broker?.stop()
rmSync(data, { recursive: true, force: true })
process.exit(code ?? 1)

async function startBroker(): Promise<{ readonly url: string; stop(): Promise<unknown> }> {
  const { startKafka } = await import('./stack/kafka.ts')
  process.stderr.write('Starting a Kafka broker …\n')
  const started = await startKafka()
  if (started.server !== undefined) return started.server
  console.error(`no Kafka broker to be had here: ${started.why}`)
  process.exit(2)
}
