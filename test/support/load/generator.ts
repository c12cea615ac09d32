// The generator's process: requests encoded beforehand, given fresh ids and times as they leave.
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '@winnow/testing'
import { type Lane, openLane } from './lane.ts'
import {
  parentOf,
  placeColumns,
  requestsPerGroup,
  spansPerTrace,
  type Template,
  templates,
  tracesPerGroup,
} from './shape.ts'

export interface Drive {
  /** `host:port` of OTLP over HTTP. */
  readonly address: string
  readonly spans: number
  readonly connections: number
  /** Spans a second; undefined: as fast as they are acknowledged. */
  readonly rate?: number | undefined
  /** A refused request is not sent again: the rate is kept up whatever is answered. */
  readonly impatient?: boolean | undefined
  /** No new group after so long, whatever is left of `spans`: the time of a load that is mostly refused. */
  readonly seconds?: number | undefined
  /** Bearer key; its tenant's traffic. */
  readonly key?: string | undefined
  /** Requests of every group, fewer leave its traces open: the root is in the last. */
  readonly requests?: number | undefined
}

export interface Driven {
  readonly spans: number
  readonly traces: number
  readonly requests: number
  readonly bytes: number
  readonly seconds: number
  /** Answers other than 200, by status. */
  readonly refused: Readonly<Record<string, number>>
  /** Of those, the ones that did not say when to come again. */
  readonly refusedWithoutWhen: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  readonly cpuSeconds: number
}

const spansPerGroup = tracesPerGroup * spansPerTrace
const spansPerRequest = spansPerGroup / requestsPerGroup
const retryMs = 200
const seed = 11

/** Never the same ids twice, in this process or another. */
const random = new Random(seed ^ Date.now())

const idle: Template[][] = []
let made = 0

/** Two a connection, so that neighbours in time are not the same texts. */
function makeGroups(count: number): void {
  const distinct = Math.min(count, distinctMax)
  if (made < distinct) idle.push(...templates(distinct - made, seed + made))
  for (made = Math.max(made, distinct); made < count; made++) {
    const group = idle[made % distinct] as Template[]
    idle.push(group.map(({ body, places }) => ({ body: Buffer.from(body), places })))
  }
}

/** Finding the marks of a group takes some 50 ms: more than so many are copies of these. */
const distinctMax = 16

async function drive(options: Drive): Promise<Driven> {
  const { address, connections, spans, rate } = options
  const groups = Math.ceil(spans / spansPerGroup)
  const perGroup = options.requests ?? requestsPerGroup
  makeGroups(2 * connections)
  const lanes = await Promise.all(
    Array.from({ length: connections }, () => openLane(address, options.key)),
  )
  const latencies = new Float64Array(groups * perGroup)
  const refused: Record<string, number> = {}
  let refusedWithoutWhen = 0
  let answered = 0
  let bytes = 0
  let next = 0
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  const untilMs = startMs + (options.seconds ?? Number.POSITIVE_INFINITY) * 1000
  const run = async (lane: Lane): Promise<void> => {
    const ids = new Uint32Array(4 * tracesPerGroup)
    while (next < groups && performance.now() < untilMs) {
      const group = next++
      for (let at = 0; at < ids.length; at++) ids[at] = random.uint32()
      const requests = idle.shift() as Template[]
      for (let at = 0; at < perGroup; at++) {
        const dueMs = rate ? ((group * perGroup + at) * spansPerRequest * 1000) / rate : 0
        const waitMs = startMs + dueMs - performance.now()
        if (rate && waitMs > 1) await sleep(waitMs)
        const template = requests[at] as Template
        patch(template, ids)
        const sentMs = performance.now()
        let status = await lane.send(template.body)
        for (; status !== 200; status = await lane.send(template.body)) {
          refused[status] = (refused[status] ?? 0) + 1
          if (!lane.saidWhen) refusedWithoutWhen++
          if (options.impatient) break
          await sleep(retryMs)
        }
        if (status !== 200) continue
        latencies[answered++] = performance.now() - sentMs
        bytes += template.body.length
      }
      idle.push(requests)
    }
  }
  await Promise.all(lanes.map(run))
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  for (const lane of lanes) lane.close()
  const sorted = latencies.subarray(0, answered).sort()
  return {
    spans: answered * spansPerRequest,
    traces: Math.min(next, groups) * tracesPerGroup,
    requests: answered,
    bytes,
    seconds,
    refused,
    refusedWithoutWhen,
    ackP50Ms: sorted[Math.floor(answered * 0.5)] ?? 0,
    ackP99Ms: sorted[Math.floor(answered * 0.99)] ?? 0,
    cpuSeconds: (user + system) / 1e6,
  }
}

/** Writes ids and times over those that the template has. Numbers only: once a span. */
function patch({ body, places }: Template, ids: Uint32Array): void {
  const nowMs = Date.now()
  for (let at = 0; at < places.length; at += placeColumns) {
    const trace = 4 * (places[at] as number)
    const span = places[at + 1] as number
    const ms = places[at + 2] as number
    const traceAt = places[at + 3] as number
    const parentAt = places[at + 5] as number
    for (let word = 0; word < 4; word++) {
      write32(body, traceAt + 4 * word, ids[trace + word] as number)
    }
    writeSpanId(body, places[at + 4] as number, ids[trace] as number, span)
    if (parentAt >= 0) writeSpanId(body, parentAt, ids[trace] as number, parentOf[span] as number)
    const timesAt = places[at + 6] as number
    writeNanos(body, timesAt, nowMs - ms)
    writeNanos(body, timesAt + 9, nowMs)
  }
}

function writeSpanId(body: Buffer, at: number, word: number, span: number): void {
  write32(body, at, word)
  write32(body, at + 4, span + 1)
}

function writeNanos(body: Buffer, at: number, ms: number): void {
  const high = Math.floor((ms * 1e6) / 2 ** 32)
  write32(body, at, ms * 1e6 - high * 2 ** 32)
  write32(body, at + 4, high)
}

function write32(body: Buffer, at: number, word: number): void {
  body[at] = word
  body[at + 1] = word >>> 8
  body[at + 2] = word >>> 16
  body[at + 3] = word >>> 24
}

process.on('message', (options: Drive) => {
  drive(options).then(
    driven => process.send?.(driven),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(0))
