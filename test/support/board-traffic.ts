import { setTimeout as sleep } from 'node:timers/promises'
import {
  activeVariant,
  OtlpClient,
  postEvaluations,
  type TrafficEvaluation,
  trace48f,
  trace48fTwin,
  trace48fTwinId,
  trafficEvents,
} from '@winnow/testing'
import type { RunningWinnow } from './winnow-process.ts'

/** A policy that watches the variant which the traffic has for it. */
export const watchingPolicy = `v: 1
version: boards
rules:
  - { kind: span-error }
  - { kind: judge-failed }
  - { kind: citation-failed }
  - { kind: low-csat }
  - { kind: outcome-failed }
  - { kind: slow }
  - kind: active-variant
    variants:
      - { experiment: ${activeVariant.experiment}, variant: ${activeVariant.variant}, until: 2099-01-01T00:00:00Z, dailyCap: 1000 }
  - { kind: ordinary, probability: 0.1 }
`

/** With fewer places to wait than orphans are sent, some find none. */
export const boardEnv: Readonly<Record<string, string>> = {
  WINNOW_TOPICS_PARTITIONS: '2',
  WINNOW_SAMPLER_AWAITING_MAX: '2',
  WINNOW_WRITER_EXPIRE_EVERY: '1s',
}

const orphans = 12
const twinRescuedInRound = 8

/**
 * Something of everything that a board shows: seeded traffic with trace 48f, a drop that an outcome
 * rescues, evaluations that find no trace and no room to wait, a span and a request that are refused.
 * Goes on until `signal` ends it, so that rates have two points at any time.
 */
export async function playForBoards(
  target: Pick<RunningWinnow, 'otlpGrpc' | 'otlpHttp' | 'api'>,
  seed: number,
  signal: AbortSignal,
): Promise<void> {
  const grpc = new OtlpClient({ transport: 'grpc', address: target.otlpGrpc })
  const json = new OtlpClient({ transport: 'http-json', address: target.otlpHttp })
  try {
    for (let round = 0; !signal.aborted; round++) {
      await json.sendTraces(trace48f({ startMs: Date.now() }))
      if (round === 0) await json.sendTraces(trace48fTwin({ startMs: Date.now() }))
      const events = trafficEvents({
        seed: seed + round,
        traces: 60,
        startMs: Date.now(),
        quick: true,
        tenants: ['default'],
        rates: { variant: 0.1 },
      })
      for (const event of events) {
        if (signal.aborted) return
        if (event.kind === 'request') await grpc.sendTraces(event.data)
        if (event.kind === 'evaluation') await postEvaluations({ address: target.api }, [event])
      }
      await refusals(target.otlpHttp)
      await lateOutcomes(target.api, round)
      await sleep(500, undefined, { signal }).catch(() => {})
    }
  } finally {
    grpc.close()
    json.close()
  }
}

/** A span without an id is refused alone, a body that is none with its request. */
async function refusals(address: string): Promise<void> {
  const nameless = { resourceSpans: [{ scopeSpans: [{ spans: [{ name: 'no id' }] }] }] }
  for (const body of [JSON.stringify(nameless), 'no JSON']) {
    await fetch(`http://${address}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
  }
}

async function lateOutcomes(address: string, round: number): Promise<void> {
  const failing = Array.from({ length: orphans }, (_, at) => orphanId(round, at))
  // By then it has been dropped for some seconds.
  if (round === twinRescuedInRound) failing.push(trace48fTwinId)
  const evaluations = failing.map(
    (traceId): TrafficEvaluation => ({
      kind: 'evaluation',
      tenant: 'default',
      atMs: 0,
      madeAtMs: Date.now(),
      id: `late-${round}-${traceId}`,
      traceId,
      name: 'judge',
      label: 'fail',
      source: 'reviewer',
    }),
  )
  await postEvaluations({ address }, evaluations)
}

const orphanId = (round: number, at: number): string =>
  `0f${round.toString(16).padStart(10, '0')}${at.toString(16).padStart(20, '0')}`
