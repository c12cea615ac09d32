// How long an assembler that was killed with many open traces takes until the next decision:
// TEST_RESUME_TRACES=50000 vitest run --project stack test/stack/stack-resume.test.ts

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { metricSum } from '../crash/metrics.ts'
import { startGenerator } from '../support/load/generator-process.ts'
import { spansPerTrace } from '../support/load/shape.ts'
import { settled } from '../support/settled.ts'
import { type RunningTarget, startTarget, type TargetName } from '../support/winnow-process.ts'
import type { TestStack } from './stack.ts'
import { stackForTest } from './stack-system.ts'

const traces = Number(process.env.TEST_RESUME_TRACES ?? 12_000)
/** Until the first of them closes; they have to be sent within it, a thousand a second, also on a busy machine. */
const sendMs = traces
const rootlessMs = 20_000 + sendMs
const waitMs = 240_000

const data = mkdtempSync(join(tmpdir(), 'winnow-resume-'))
afterAll(() => rmSync(data, { recursive: true, force: true }))

test.for([
  { name: 'its checkpoint', isFlushed: false },
  { name: 'the log alone, Redis being empty,', isFlushed: true },
])(
  `an assembler killed with ${traces} open traces resumes from $name and loses none`,
  {
    timeout: 600_000,
  },
  async ({ name, isFlushed }, { skip }) => {
    const stack = await stackForTest(skip)
    const targets = await startTargets(stack)
    const { receiver, sampler, query } = targets
    const generator = startGenerator()
    onTestFinished(() => generator.stop())
    const begunAtMs = Date.now()
    const drive = { address: receiver.otlpHttp ?? '', connections: 4, requests: 1 }
    const driven = await generator.drive({ ...drive, spans: traces * spansPerTrace })
    await sleep(begunAtMs + rootlessMs - 2_000 - Date.now())
    const open = await metricSum(targets.assembler.metrics, 'winnow_open_traces')
    expect(open).toBeGreaterThanOrEqual(traces)
    const before = await metricSum(sampler.metrics, 'winnow_decisions_total')
    await targets.assembler.kill9()
    if (isFlushed) await flush(stack)
    const startedAtMs = Date.now()
    targets.assembler = await startTarget('assembler', { data, env: envOf(stack) })
    const readyMs = Date.now() - startedAtMs
    while ((await metricSum(sampler.metrics, 'winnow_decisions_total')) === before) {
      expect(Date.now() - startedAtMs, 'without a decision').toBeLessThan(waitMs)
      await sleep(20)
    }
    const decisionMs = Date.now() - startedAtMs
    const used = await metricSum(
      targets.assembler.metrics,
      'winnow_checkpoints_total{result="used"}',
    )
    console.log(
      `resumed from ${name} with ${open} open traces: ready after ${readyMs} ms, first decision after ${decisionMs} ms, ${used} checkpoints used`,
    )
    expect(used > 0).toBe(!isFlushed)
    const metrics = Object.values(targets).map(target => target.metrics)
    await settled(metrics, waitMs)
    expect(await verified(query.api ?? '', driven.spans)).toMatchObject({
      balanced: true,
      received: driven.spans,
      missing: 0,
      doubled: 0,
      pending: 0,
    })
    const { kept, dropped } = (await answer(query.api ?? '', 'sampling')) as Record<string, number>
    expect((kept ?? 0) + (dropped ?? 0)).toBe(driven.traces)
  },
)

async function startTargets(stack: TestStack): Promise<Record<TargetName, RunningTarget>> {
  const started: Partial<Record<TargetName, RunningTarget>> = {}
  onTestFinished(async () => {
    for (const target of Object.values(started)) await target.kill9()
  })
  for (const name of ['query', 'writer', 'sampler', 'assembler', 'receiver'] as const) {
    started[name] = await startTarget(name, { data, env: envOf(stack) })
  }
  return started as Record<TargetName, RunningTarget>
}

function envOf({ env }: TestStack): Record<string, string> {
  return {
    ...env,
    WINNOW_ASSEMBLER_ROOTLESS: `${rootlessMs}ms`,
    WINNOW_ASSEMBLER_OPEN_MAX: '5min',
  }
}

async function flush({ redis }: TestStack): Promise<void> {
  const client = new Redis(redis.url)
  await client.flushall()
  client.disconnect()
}

/** Once all is received and decided; what is not by then will not be. */
async function verified(api: string, spans: number): Promise<unknown> {
  for (const untilMs = Date.now() + waitMs; ; await sleep(300)) {
    const report: Partial<Record<string, unknown>> = await answer(api, 'verify?full=true')
    const isWhole = report.received === spans && report.pending === 0 && report.balanced === true
    if (isWhole || Date.now() > untilMs) return report
  }
}

async function answer(api: string, what: string): Promise<object> {
  const response = await fetch(`http://${api}/api/v1/${what}`)
  return (await response.json()) as object
}
