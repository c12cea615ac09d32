// Log time on files, moved as a test likes it: late outcomes, long traces, a clock that jumps.

import type { TracesData } from '@winnow/otlp'
import type { Why } from '@winnow/query'
import {
  OtlpClient,
  postEvaluations,
  Random,
  sentSpans,
  trace48f,
  trace48fTwinChanges,
} from '@winnow/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type RunningWinnow, startWinnow } from '../support/winnow-process.ts'
import { CrashRun } from './crash-run.ts'
import { metricSum } from './metrics.ts'
import { MovedClock } from './moved-clock.ts'
import { upSystem } from './systems.ts'

const seconds = 1_000
const hours = 3_600_000

interface Moved {
  readonly clock: MovedClock
  readonly running: RunningWinnow
}

async function started(env: Readonly<Record<string, string>> = {}): Promise<Moved> {
  const clock = new MovedClock()
  const { nodeArgs, env: clockEnv } = clock.options
  const running = await startWinnow({ nodeArgs, env: { ...clockEnv, ...env } })
  onTestFinished(async () => {
    await running.kill9()
    running.clean()
    clock.remove()
  })
  return { clock, running }
}

/** The draw of a trace is its id's last 14 digits: one that begins with 0 is not among the ordinary 10 %. */
function droppedIds(count: number): string[] {
  const random = Random.of(71, 1)
  return Array.from(
    { length: count },
    () => `${random.hex(2)}${random.hex(1).slice(0, 2)}0${random.hex(2).slice(0, 13)}`,
  )
}

/** The healthy twin of 48f under another id: only an outcome, or the draw, keeps it. */
function healthy(traceId: string, startMs: number): TracesData {
  return trace48f({ startMs }, { ...trace48fTwinChanges, traceId })
}

async function sendAll(running: RunningWinnow, ids: readonly string[], startMs: number) {
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
  for (const traceId of ids) {
    const { acknowledged } = await client.sendTraces(healthy(traceId, startMs))
    expect(acknowledged).toBe(true)
  }
  client.close()
}

async function why(running: RunningWinnow, traceId: string): Promise<Why> {
  const answer = await fetch(`http://${running.api}/api/v1/traces/${traceId}/why`)
  return (await answer.json()) as Why
}

async function states(running: RunningWinnow, ids: readonly string[]): Promise<Set<string>> {
  return new Set(await Promise.all(ids.map(async id => (await why(running, id)).state)))
}

async function tell(running: RunningWinnow, ids: readonly string[], nowMs: number): Promise<void> {
  const evaluations = ids.map(traceId => ({
    kind: 'evaluation' as const,
    tenant: 'default',
    atMs: nowMs,
    madeAtMs: nowMs,
    id: 'late',
    traceId,
    name: 'csat',
    score: 1,
    source: 'survey',
  }))
  const { status } = await postEvaluations({ address: running.api }, evaluations)
  expect(status).toBe(202)
}

const waits = { timeout: 60_000, interval: 200 }

test('outcomes late by 4 s to 23 h keep every trace whole, after removal none: each missed, and why says so', async () => {
  const { clock, running } = await started()
  const lateBy = [4 * seconds, 20 * seconds, 45 * seconds, hours, 23 * hours]
  const ids = droppedIds(20 * (lateBy.length + 1))
  const group = (n: number): string[] => ids.slice(20 * n, 20 * (n + 1))
  await sendAll(running, ids, clock.nowMs)
  await vi.waitFor(
    async () => expect(await states(running, ids)).toEqual(new Set(['dropped'])),
    waits,
  )
  let late = 0
  for (const [n, byMs] of lateBy.entries()) {
    await clock.jump(byMs - late)
    late = byMs
    await tell(running, group(n), clock.nowMs)
    const kept = async () => expect(await states(running, group(n))).toEqual(new Set(['kept']))
    await vi.waitFor(kept, waits)
    for (const traceId of group(n)) {
      const whole = async () => {
        const answer = await fetch(`http://${running.api}/api/v1/traces/${traceId}`)
        expect(answer.status, `late by ${byMs} ms: ${traceId}`).toBe(200)
        const { spans } = (await answer.json()) as { spans: unknown[] }
        expect(spans.length).toBe((await why(running, traceId)).spanCount)
      }
      await vi.waitFor(whole, waits)
    }
  }
  await clock.jump(25 * hours - late)
  const gone = group(lateBy.length)
  await tell(running, gone, clock.nowMs)
  const missed = async (): Promise<void> => {
    for (const traceId of gone) {
      const { state, evaluations } = await why(running, traceId)
      const told = evaluations.map(({ state: effect }) => effect)
      expect([state, told], traceId).toEqual(['expired', ['missed']])
    }
  }
  await vi.waitFor(missed, waits)
  expect(
    await metricSum(running.metrics, 'winnow_evaluations_total{name="csat",result="missed"}'),
  ).toBe(gone.length)
})

test('a trace that takes 25 s is decided once and whole', async () => {
  const { clock, running } = await started({
    WINNOW_ASSEMBLER_QUIET: '5s',
    WINNOW_ASSEMBLER_ROOTLESS: '60s',
    WINNOW_ASSEMBLER_OPEN_MAX: '2min',
  })
  const ids = droppedIds(30).map(id => `${id.slice(0, 18)}f${id.slice(19)}`)
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
  const startMs = clock.nowMs
  const traces = ids.map(traceId => oneBySpan(healthy(traceId, startMs)))
  const steps = Math.max(...traces.map(({ length }) => length))
  for (let step = 0; step < steps; step++) {
    for (const spans of traces) {
      const one = spans[step]
      if (one !== undefined) expect((await client.sendTraces(one)).acknowledged).toBe(true)
    }
    if (step < steps - 1) await clock.jump(25_000 / (steps - 1))
  }
  client.close()
  await clock.jump(10 * seconds)
  await vi.waitFor(async () => expect(await states(running, ids)).toEqual(new Set(['kept'])), waits)
  for (const traceId of ids) {
    const { revision, spanCount, complete } = await why(running, traceId)
    expect([revision, spanCount, complete], traceId).toEqual([1, steps, true])
  }
})

test('a clock that jumps ahead and back costs nothing and doubles nothing', {
  timeout: 300_000,
}, async () => {
  const seed = 72
  const clock = new MovedClock()
  const system = await upSystem(clock.options)
  onTestFinished(async () => {
    await system.remove()
    clock.remove()
  })
  const run = new CrashRun({ seed, system, tracesPerSecond: 60 })
  for (const jumpMs of [hours, -30 * seconds, 90 * seconds, -10 * seconds]) {
    await run.manyOpen(200)
    await clock.jump(jumpMs)
    console.log(
      `seed ${seed}: jumped by ${jumpMs} ms, ${run.traffic.acknowledgedSpans} spans so far`,
    )
  }
  await run.kill('up', 200)
  const { figures, violations } = await run.account()
  console.log(`seed ${seed}: ${JSON.stringify(figures)}`)
  expect(violations.join('\n'), `seed ${seed}`).toBe('')
})

/** A request for every span, the root last. */
function oneBySpan(data: TracesData): TracesData[] {
  const all = sentSpans(data).map(
    ({ resource, resourceSchemaUrl, scope, scopeSchemaUrl, span }) => ({
      isRoot: span.parentSpanId === '',
      data: {
        resourceSpans: [
          {
            resource,
            schemaUrl: resourceSchemaUrl,
            scopeSpans: [{ scope, schemaUrl: scopeSchemaUrl, spans: [span] }],
          },
        ],
      },
    }),
  )
  return all.toSorted((a, b) => Number(a.isRoot) - Number(b.isRoot)).map(one => one.data)
}
