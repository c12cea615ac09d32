import { setTimeout as sleep } from 'node:timers/promises'
import type { SamplingReport, Why } from '@winnow/query'
import {
  OtlpClient,
  postEvaluations,
  type TrafficEvaluation,
  type TrafficRequest,
  trace48f,
  trace48fId,
  trace48fTwin,
  trace48fTwinId,
  trafficEvents,
} from '@winnow/testing'
import { callApi } from '../client/api-client.ts'
import { samplingText } from '../render/sampling-text.ts'
import { whyText } from '../render/why-text.ts'
import type { Addresses } from '../stages/stage.ts'

/** The demo's waits, as variables: whoever sets one of them keeps it. */
export const shortWaits: Readonly<Record<string, string>> = {
  WINNOW_ASSEMBLER_QUIET: '500ms',
  WINNOW_ASSEMBLER_ROOTLESS: '2s',
  WINNOW_ASSEMBLER_OPEN_MAX: '4s',
  WINNOW_ASSEMBLER_CLOCK_SLACK: '250ms',
  WINNOW_WRITER_SEGMENT_AGE: '2s',
}

const SEED = 48
const TRACES = 2000
/** The generator's traces start in so many seconds; the rest of the run is waits. */
const TRACES_PER_SECOND = 400
/** Above this the demo says what it waited for and ends: a pipeline that stands still is a finding. */
const settleMs = 60_000

export interface DemoOutput {
  /** What the demo found: for standard output. */
  readonly say: (text: string) => void
  /** How far it is: for standard error. */
  readonly progress: (text: string) => void
  readonly color: boolean
}

/** Sends real OTLP to the running pipeline, then asks it over its API, as any client would. */
export async function runDemo(addresses: Required<Addresses>, output: DemoOutput): Promise<void> {
  const { say, progress } = output
  const api = `http://${addresses.api}`
  const grpc = new OtlpClient({ transport: 'grpc', address: addresses.otlpGrpc })
  const http = new OtlpClient({ transport: 'http-protobuf', address: addresses.otlpHttp })
  progress(`Waits are short for the demo: ${waitsText()}. Seed ${SEED}.\n`)
  try {
    const startMs = Date.now()
    await grpc.sendTraces(trace48f({ startMs }))
    await http.sendTraces(trace48fTwin({ startMs }))
    const traffic = [
      ...trafficEvents({
        seed: SEED,
        traces: TRACES,
        startMs,
        quick: true,
        tenants: ['default'],
        tracesPerSecond: TRACES_PER_SECOND,
      }),
    ]
    const requests = traffic.filter(event => event.kind === 'request')
    const evaluations = traffic.filter(event => event.kind === 'evaluation')
    await send(requests, http, progress)
    const ids = new Set(traffic.flatMap(event => (event.kind === 'trace' ? [event.traceId] : [])))
    await decided(api, ids.size + 2, progress)
    const before = await stateBefore(api, evaluations)
    await tell(addresses.api, evaluations, progress)
    await rescued(api, before)
    const report = await ask<SamplingReport>(api, '/api/v1/sampling')
    say(`\n${samplingText(report)}`)
    say(
      `\n── Trace 48f: eight spans, all OK, and yet kept\n\n${await whyOf(api, trace48fId, output)}`,
    )
    say(
      `\n── Its healthy twin: the same draw, dropped\n\n${await whyOf(api, trace48fTwinId, output)}`,
    )
    say(`\n── Dropped first; kept when its CSAT came\n\n${await whyOf(api, before, output)}`)
  } finally {
    grpc.close()
    http.close()
  }
}

function waitsText(): string {
  const { WINNOW_ASSEMBLER_QUIET, WINNOW_ASSEMBLER_ROOTLESS, WINNOW_ASSEMBLER_OPEN_MAX } =
    shortWaits
  return `quiet ${WINNOW_ASSEMBLER_QUIET}, rootless ${WINNOW_ASSEMBLER_ROOTLESS}, openMax ${WINNOW_ASSEMBLER_OPEN_MAX}`
}

/** Each request at its time, so that log time passes as it does for real. */
async function send(
  requests: readonly TrafficRequest[],
  client: OtlpClient,
  progress: (text: string) => void,
): Promise<void> {
  for (const [index, request] of requests.entries()) {
    const early = request.atMs - Date.now()
    if (early > 0) await sleep(early)
    const answer = await client.sendTraces(request.data)
    if (!answer.acknowledged) {
      throw new Error(`the receiver refused a request: ${answer.status} ${answer.message}`)
    }
    if (index % 20 === 0 || index === requests.length - 1) {
      progress(
        `\rSending ${bar((index + 1) / requests.length)} ${index + 1} of ${requests.length} requests`,
      )
    }
  }
  progress('\n')
}

async function decided(
  api: string,
  traces: number,
  progress: (text: string) => void,
): Promise<void> {
  await waitFor(`${traces} decisions`, async () => {
    const { kept, dropped } = await ask<SamplingReport>(api, '/api/v1/sampling')
    progress(`\rDeciding ${bar((kept + dropped) / traces)} ${kept + dropped} of ${traces} traces`)
    return kept + dropped >= traces
  })
  progress('\n')
}

/** A trace that is dropped now and whose CSAT is about to say that it should not have been. */
async function stateBefore(
  api: string,
  evaluations: readonly TrafficEvaluation[],
): Promise<string> {
  for (const { name, score, traceId } of evaluations) {
    if (name !== 'csat' || score === undefined || score > 2) continue
    const { state } = await ask<Why>(api, `/api/v1/traces/${traceId}/why`)
    if (state === 'dropped') return traceId
  }
  throw new Error('no dropped trace has a CSAT to come; that is a defect of the demo’s seed')
}

async function tell(
  address: string,
  evaluations: readonly TrafficEvaluation[],
  progress: (text: string) => void,
): Promise<void> {
  const { status } = await postEvaluations({ address }, evaluations)
  if (status !== 202) throw new Error(`evaluations were answered with ${status}`)
  progress(`Told ${evaluations.length} late evaluations\n`)
}

async function rescued(api: string, traceId: string): Promise<void> {
  await waitFor('the rescue', async () => {
    const { state } = await ask<Why>(api, `/api/v1/traces/${traceId}/why`)
    return state === 'kept'
  })
}

async function whyOf(api: string, traceId: string, output: DemoOutput): Promise<string> {
  return whyText(await ask<Why>(api, `/api/v1/traces/${traceId}/why`), output.color)
}

async function ask<T>(url: string, path: string): Promise<T> {
  return (await callApi({ url }, 'GET', path)).body as T
}

async function waitFor(what: string, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + settleMs
  while (!(await holds())) {
    if (Date.now() > untilMs) throw new Error(`waited ${settleMs / 1000} s for ${what}, in vain`)
    await sleep(200)
  }
}

function bar(share: number): string {
  const filled = Math.round(20 * Math.min(share, 1))
  return `${'█'.repeat(filled)}${'░'.repeat(20 - filled)}`
}
