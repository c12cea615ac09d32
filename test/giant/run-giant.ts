// One trace of very many spans and one of very much text beside ordinary traffic.

import { setTimeout as sleep } from 'node:timers/promises'
import { decisionBytesMax } from '@winnow/model'
import { OtlpClient, percentile } from '@winnow/testing'
import { startGenerator } from '../support/load/generator-process.ts'
import { settled } from '../support/settled.ts'
import { type RunningWinnow, startWinnow } from '../support/winnow-process.ts'
import { type Giant, giantOf, giantRequests } from './giant-trace.ts'
import { type Decided, type LogFindings, readLog, topicsRead } from './read-log.ts'

export interface GiantOptions {
  readonly seed: number
  /** Spans, and bytes of text in each. */
  readonly giants: readonly Pick<Giant, 'spans' | 'textBytes'>[]
  /** Ordinary spans a second, always. */
  readonly rate: number
  /** Of one window. */
  readonly seconds: number
  /** Each is a window of ordinary traffic alone and one beside the giants, new ones each time. */
  readonly rounds: number
  readonly say: (line: string) => void
}

export interface GiantResult {
  /** Decision delay of the ordinary traces whose last span came in such windows. */
  readonly alone: Delay
  readonly beside: Delay
  readonly giants: readonly GiantAnswer[]
  readonly largestBytes: LogFindings['largestBytes']
  readonly exitCode: number | null
}

export interface Delay {
  readonly traces: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface GiantAnswer {
  readonly giant: Giant
  readonly state: string
  readonly spanCount: number
  readonly closeReason: string
  readonly primary: string
  readonly complete: boolean
}

interface Window {
  readonly kind: 'alone' | 'beside'
  readonly fromMs: number
  readonly toMs: number
}

const settleMs = 120_000
/** Code that has not run yet is slow. */
const warmUpSeconds = 5
const recordBytesMax = {
  spans: 4 * 1024 * 1024,
  evidence: 4 * 1024 * 1024,
  decisions: decisionBytesMax,
}

export async function runGiants(options: GiantOptions): Promise<GiantResult> {
  const { rate, seconds, rounds, say } = options
  const env = { WINNOW_ASSEMBLER_QUIET: '1s', WINNOW_ASSEMBLER_OPEN_MAX: '2min' }
  const winnow = await startWinnow({ env })
  const generator = startGenerator()
  try {
    const base = { address: winnow.otlpHttp, connections: 8, rate }
    const ordinary = { ...base, spans: rate * seconds }
    await generator.drive({ ...base, spans: rate * warmUpSeconds, rate: undefined })
    const sent: Giant[] = []
    const windows: Window[] = []
    const window = async (kind: Window['kind'], drives: Promise<unknown>[]): Promise<void> => {
      const fromMs = Date.now()
      await Promise.all(drives)
      windows.push({ kind, fromMs, toMs: Date.now() })
      await settled([winnow.metrics], settleMs)
    }
    await settled([winnow.metrics], settleMs)
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}: ${rate} spans/s for ${seconds} s, then beside giants`)
      await window('alone', [generator.drive(ordinary)])
      const giants = options.giants.map(({ spans, textBytes }) =>
        giantOf(options.seed + round, spans, textBytes),
      )
      sent.push(...giants)
      await window('beside', [
        generator.drive(ordinary),
        ...giants.map(one => send(winnow, one, seconds)),
      ])
    }
    const answers = await Promise.all(sent.map(one => answerOf(winnow, one)))
    const exitCode = await winnow.stop()
    const { largestBytes, decided } = await readLog(winnow.data)
    const others = decided.filter(one => !sent.some(({ traceId }) => traceId === one.traceId))
    const of = (kind: Window['kind']): Delay =>
      delayIn(
        others,
        windows.filter(one => one.kind === kind),
      )
    return { alone: of('alone'), beside: of('beside'), giants: answers, largestBytes, exitCode }
  } finally {
    generator.stop()
    await winnow.kill9()
    winnow.clean()
  }
}

/** What must hold on any machine. */
export function violations({ giants, largestBytes, exitCode }: GiantResult): string[] {
  const wrong = giants
    .filter(({ giant, state, spanCount }) => state !== 'kept' || spanCount !== giant.spans)
    .map(({ giant, state, spanCount }) => `${nameOf(giant)}: ${state} with ${spanCount} spans`)
  for (const topic of topicsRead) {
    const bytes = largestBytes[topic]
    const bytesMax = recordBytesMax[topic]
    if (bytes <= bytesMax) continue
    wrong.push(`a record of ${topic} has ${bytes} bytes, more than ${bytesMax}`)
  }
  if (exitCode !== 0) wrong.push(`ended with ${exitCode}`)
  return wrong
}

/** What must hold on a machine of its own: giants cost the others so little of their p99. */
export function delayViolations({ alone, beside }: GiantResult): string[] {
  if (beside.p99Ms <= alone.p99Ms * delayMax) return []
  return [`others' decision delay p99 ${alone.p99Ms} ms alone, ${beside.p99Ms} ms beside them`]
}

const delayMax = 1.05

export function nameOf({ spans, textBytes }: Pick<Giant, 'spans' | 'textBytes'>): string {
  return `a trace of ${spans} spans and ${Math.round((spans * textBytes) / 1e6)} MB of text`
}

function delayIn(decided: readonly Decided[], windows: readonly Window[]): Delay {
  const delays = decided
    .filter(({ lastSpanAtMs }) =>
      windows.some(({ fromMs, toMs }) => lastSpanAtMs >= fromMs && lastSpanAtMs <= toMs),
    )
    .map(({ delayMs }) => delayMs)
  const at = (percent: number): number => percentile(delays, percent) ?? 0
  return { traces: delays.length, p50Ms: at(50), p99Ms: at(99) }
}

/** Evenly over the time, as one that runs away does; a refusal is waited out by the client. */
async function send(winnow: RunningWinnow, giant: Giant, seconds: number): Promise<void> {
  const client = new OtlpClient({
    transport: 'http-protobuf',
    address: winnow.otlpHttp,
    connections: 1,
  })
  const startMs = performance.now()
  const { requests } = giant
  let sent = 0
  for (const body of giantRequests(giant)) {
    const dueMs = startMs + (sent++ / requests) * seconds * 1000
    await sleep(Math.max(0, dueMs - performance.now()))
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
