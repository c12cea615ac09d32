// `npm run load [-- TRACES]`: seeded agent traffic, encoded beforehand, as fast as `winnow up` takes it over
// OTLP/HTTP from eight connections of another process; then what it cost and whether everything was decided.
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { OtlpClient, requestBytes, trafficEvents } from '@winnow/testing'
import { startWinnow } from './support/winnow-process.ts'

const SEED = 7
const CONNECTIONS = 8
const traces = Number(process.argv[2] ?? 20_000)
const settleMs = 120_000

console.log(`Encoding ${traces} traces of seed ${SEED} …`)
const startMs = Date.now()
const bodies: Uint8Array[] = []
const ids = new Set<string>()
let spans = 0
for (const event of trafficEvents({
  seed: SEED,
  traces,
  startMs,
  tenants: ['default'],
  quick: true,
  tracesPerSecond: 20_000,
  rates: { outcome: 0 },
  features: { long: 0, lateJudge: 0, sharedTraceId: 0, orphanEvaluations: 0 },
})) {
  if (event.kind === 'trace') ids.add(event.traceId)
  if (event.kind !== 'request') continue
  bodies.push(requestBytes(event.data, 'http-protobuf'))
  for (const one of event.data.resourceSpans)
    for (const group of one.scopeSpans) spans += group.spans.length
}
const bytes = bodies.reduce((sum, body) => sum + body.length, 0)

const winnow = await startWinnow({
  env: {
    WINNOW_QUERY_FOLD_TRACES_MAX: String(2 * traces),
    WINNOW_WRITER_SEGMENT_AGE: '10s',
  },
})
const { pid } = winnow
const client = new OtlpClient({
  transport: 'http-protobuf',
  address: winnow.otlpHttp,
  connections: CONNECTIONS,
  attemptsMax: 50,
})
const before = cpuSeconds(pid)
const sentAt = performance.now()
let next = 0
let refused = 0
await Promise.all(
  Array.from({ length: CONNECTIONS }, async () => {
    for (let at = next++; at < bodies.length; at = next++) {
      const answer = await client.sendTraces(bodies[at] as Uint8Array)
      refused += answer.attempts - 1
      if (!answer.acknowledged) throw new Error(`request ${at}: ${answer.status} ${answer.message}`)
    }
  }),
)
const seconds = (performance.now() - sentAt) / 1000
const decided = await settle()
const cpu = cpuSeconds(pid) - before
const metrics = await (await fetch(`http://${winnow.metrics}/metrics`)).text()
const rss = memoryMiB(pid)
client.close()
const code = await winnow.stop()
winnow.clean()

const per = (value: number): string => value.toFixed(1)
console.log(`${spans} spans in ${bodies.length} requests, ${per(bytes / spans / 1000)} kB a span
acknowledged   ${Math.round(spans / seconds)} spans/s, ${refused} requests had to come again
cost           ${per((cpu / spans) * 1e6)} CPU-seconds per million spans, until all was written
memory         ${rss} MiB at the end
decision delay ${quantile(metrics, 0.5)} s at p50, ${quantile(metrics, 0.99)} s at p99 (upper bounds of their buckets; quiet is 0.8 s)
decided        ${decided} of ${ids.size} traces; ended with ${code}`)
process.exit(decided === ids.size && code === 0 ? 0 : 1)

/** Until every trace is decided and both groups of the writer are through. */
async function settle(): Promise<number> {
  for (const untilMs = Date.now() + settleMs; ; await sleep(250)) {
    const response = await fetch(`http://${winnow.api}/api/v1/sampling`)
    const { kept, dropped } = (await response.json()) as { kept: number; dropped: number }
    const text = await (await fetch(`http://${winnow.metrics}/metrics`)).text()
    const lag = /winnow_bus_lag_records\{group="writer-segments"\} (\d+)/.exec(text)?.[1]
    if ((kept + dropped >= ids.size && lag === '0') || Date.now() > untilMs) return kept + dropped
  }
}

function cpuSeconds(of: number): number {
  const fields = readFileSync(`/proc/${of}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function memoryMiB(of: number): number {
  return Math.round(
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${of}/status`, 'utf8'))?.[1]) / 1024,
  )
}

function quantile(text: string, share: number): string {
  const buckets = [...text.matchAll(/winnow_decision_delay_seconds_bucket\{le="([^"]+)"\} (\d+)/g)]
  const total = Number(buckets.at(-1)?.[2] ?? 0)
  return buckets.find(([, , count]) => Number(count) >= share * total)?.[1] ?? '?'
}
