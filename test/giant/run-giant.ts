// One trace of very many spans and one of very much text beside ordinary traffic.

import { join } from 'node:path'
import { FileBus, topicSpecs } from '@winnow/bus'
import { decisionBytesMax } from '@winnow/model'
import { systemClock } from '@winnow/runtime'
import { OtlpClient } from '@winnow/testing'
import { startGenerator } from '../support/load/generator-process.ts'
import { type Scrape, scrape } from '../support/load/metrics-text.ts'
import { settled } from '../support/settled.ts'
import { type RunningWinnow, startWinnow } from '../support/winnow-process.ts'
import { type Giant, giantRequests } from './giant-trace.ts'

export interface GiantOptions {
  readonly giants: readonly Giant[]
  /** Ordinary spans a second, and for how long, alone and then beside the giants. */
  readonly rate: number
  readonly seconds: number
  readonly say: (line: string) => void
}

export interface GiantResult {
  /** Decision delay of what was decided in each half, seconds. */
  readonly alone: Delay
  readonly beside: Delay
  readonly giants: readonly GiantAnswer[]
  /** Of the largest record on the bus, by topic; none may be over its limit. */
  readonly largestBytes: Readonly<Record<string, number>>
  readonly exitCode: number | null
}

interface Delay {
  readonly p50S: number
  readonly p99S: number
}

export interface GiantAnswer {
  readonly giant: Giant
  readonly state: string
  readonly spanCount: number
  readonly closeReason: string
  readonly primary: string
  readonly complete: boolean
}

const settleMs = 120_000
const recordBytesMax = {
  spans: 4 * 1024 * 1024,
  evidence: 4 * 1024 * 1024,
  decisions: decisionBytesMax,
}

export async function runGiants(options: GiantOptions): Promise<GiantResult> {
  const { rate, seconds, giants, say } = options
  const winnow = await startWinnow({ env: { WINNOW_ASSEMBLER_QUIET: '1s' } })
  const generator = startGenerator()
  try {
    const ordinary = { address: winnow.otlpHttp, connections: 8, rate, spans: rate * seconds }
    await generator.drive({ ...ordinary, rate: undefined })
    await settled(winnow.metrics, settleMs)
    say(`${rate} spans/s alone for ${seconds} s`)
    const first = await scrape(winnow.metrics)
    await generator.drive(ordinary)
    await settled(winnow.metrics, settleMs)
    const second = await scrape(winnow.metrics)
    say(`the same beside ${giants.map(nameOf).join(' and ')}`)
    await Promise.all([generator.drive(ordinary), ...giants.map(one => send(winnow, one))])
    await settled(winnow.metrics, settleMs)
    const third = await scrape(winnow.metrics)
    const answers = await Promise.all(giants.map(one => answerOf(winnow, one)))
    const exitCode = await winnow.stop()
    const largestBytes = await largestRecords(winnow.data)
    return {
      alone: delay(first, second),
      beside: delay(second, third),
      giants: answers,
      largestBytes,
      exitCode,
    }
  } finally {
    generator.stop()
    await winnow.kill9()
    winnow.clean()
  }
}

export function violations({ giants, largestBytes, exitCode }: GiantResult): string[] {
  const wrong = giants
    .filter(({ giant, state, spanCount }) => state !== 'kept' || spanCount !== giant.spans)
    .map(({ giant, state, spanCount }) => `${nameOf(giant)}: ${state} with ${spanCount} spans`)
  for (const [topic, bytesMax] of Object.entries(recordBytesMax)) {
    const bytes = largestBytes[topic] ?? 0
    if (bytes > bytesMax)
      wrong.push(`a record of ${topic} has ${bytes} bytes, more than ${bytesMax}`)
  }
  if (exitCode !== 0) wrong.push(`ended with ${exitCode}`)
  return wrong
}

export function nameOf({ spans, textBytes }: Giant): string {
  return `a trace of ${spans} spans and ${Math.round((spans * textBytes) / 1e6)} MB of text`
}

function delay(before: Scrape, after: Scrape): Delay {
  const of = (share: number): number =>
    after.quantile('winnow_decision_delay_seconds', share, before)
  return { p50S: of(0.5), p99S: of(0.99) }
}

async function send(winnow: RunningWinnow, giant: Giant): Promise<void> {
  const client = new OtlpClient({
    transport: 'http-protobuf',
    address: winnow.otlpHttp,
    connections: 1,
  })
  for (const body of giantRequests(giant)) {
    const answer = await client.sendTraces(body)
    if (!answer.acknowledged) throw new Error(`refused: ${answer.status} ${answer.message}`)
  }
  client.close()
}

async function answerOf(winnow: RunningWinnow, giant: Giant): Promise<GiantAnswer> {
  const response = await fetch(`http://${winnow.api}/api/v1/traces/${giant.traceId}/why`)
  const { state, spanCount, closeReason, primary, complete } =
    (await response.json()) as GiantAnswer
  return { giant, state, spanCount, closeReason, primary, complete }
}

async function largestRecords(data: string): Promise<Record<string, number>> {
  const specs = topicSpecs({ prefix: 'winnow', generation: 1, partitions: 12 })
  const bus = await FileBus.open({
    folder: join(data, 'bus'),
    specs: Object.values(specs),
    clock: systemClock,
  })
  const largest: Record<string, number> = {}
  for (const topic of Object.keys(recordBytesMax) as (keyof typeof recordBytesMax)[]) {
    const { name, partitions } = specs[topic]
    largest[topic] = 0
    for (let partition = 0; partition < partitions; partition++) {
      const { first, end } = await bus.bounds(name, partition)
      for (let next = first; next < end; ) {
        const { records } = await bus.read(name, partition, next, 8 << 20, 0)
        for (const { value } of records)
          largest[topic] = Math.max(largest[topic] ?? 0, value.length)
        next = (records.at(-1)?.offset ?? end) + 1
      }
    }
  }
  await bus.close()
  return largest
}
