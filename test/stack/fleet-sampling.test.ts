// One sampler and four decide on the same traces of a real broker: thresholds, caps and ceilings are the fleet's.

import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { topicSpecs } from '@winnow/bus'
import { checkP99 } from '@winnow/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type RunningTarget, startTarget } from '../support/winnow-process.ts'
import {
  append,
  type Decided,
  decided,
  decisionsOf,
  FleetTraffic,
  type Kind,
  type SentTrace,
  type Topics,
  tickMs,
} from './fleet-traffic.ts'
import { openBus } from './kafka/clients.ts'
import { sharedKafka } from './kafka/shared.ts'

const broker = (await sharedKafka()) ?? ''
const seed = 20_261_122
const partitions = 8
const dailyCap = 3_000
const perMinute = 2_000
const minuteMs = 60_000
/** A sixth of `slowWindow`. */
const paneMs = 20_000
const all: readonly Kind[] = ['steady', 'constant', 'arm', 'failing']

const policy = `
version: fleet
rules:
  - kind: span-error
  - kind: slow
  - kind: active-variant
    variants: [{ experiment: e, variant: B, until: 2100-01-01T00:00:00Z, dailyCap: ${dailyCap} }]
  - { kind: ordinary, probability: 0.001 }
ceilings:
  - { rule: span-error, perMinute: ${perMinute} }
`

/** A pipeline that is samplers alone. */
async function startSamplers(count: number): Promise<Topics> {
  const prefix = `fleet-${randomUUID().slice(0, 8)}`
  const data = mkdtempSync(join(tmpdir(), 'winnow-fleet-'))
  const file = join(data, 'policy.yaml')
  writeFileSync(file, policy)
  const env = {
    WINNOW_BUS: `kafka://${broker}`,
    WINNOW_TOPICS_PREFIX: prefix,
    WINNOW_TOPICS_PARTITIONS: `${partitions}`,
    WINNOW_POLICY: file,
    WINNOW_SAMPLER_SLOW_WINDOW: `${(6 * paneMs) / 1_000}s`,
    WINNOW_SAMPLER_BASELINES_EVERY: '1s',
  }
  onTestFinished(() => rmSync(data, { recursive: true, force: true }))
  const samplers: RunningTarget[] = []
  for (let at = 0; at < count; at++) {
    const sampler = await startTarget('sampler', { data: join(data, `${at}`), env })
    onTestFinished(() => sampler.kill9())
    samplers.push(sampler)
  }
  // A partition that moves begins its part of a ceiling anew.
  const held = samplers.map(() => partitions / count)
  await vi.waitFor(() => expect(samplers.map(heldBy)).toEqual(held), {
    timeout: 60_000,
    interval: 200,
  })
  return topicSpecs({ prefix, generation: 1, partitions })
}

/** The partitions that a sampler's last assignment gave it. */
function heldBy(sampler: RunningTarget): number {
  return Number([...sampler.stderr().matchAll(/"partitions":(\d+)/g)].at(-1)?.[1] ?? 0)
}

interface Run {
  readonly pipelines: readonly Topics[]
  readonly steady: readonly SentTrace[]
  readonly probes: readonly SentTrace[]
  readonly after: readonly SentTrace[]
  readonly others: readonly SentTrace[]
}

/** Traffic as it comes every day, then probes of where the bars are, then everything takes five times as long. */
async function play(pipelines: readonly Topics[]): Promise<Run> {
  const specs = pipelines.flatMap(topics => Object.values(topics))
  const bus = await openBus(broker, specs)
  onTestFinished(() => bus.close())
  const traffic = new FleetTraffic(seed)
  const sent: SentTrace[] = []
  const tick = async (kinds: readonly Kind[], factor = 1) => {
    const nextMs = Date.now() + tickMs
    const traces = traffic.tick(kinds, factor)
    sent.push(...traces)
    await append(bus, pipelines, traces)
    await sleep(Math.max(0, nextMs - Date.now()))
    return traces
  }
  for (let at = 0; at < 200; at++) await tick(all)
  const steady = sent.filter(({ kind }) => kind === 'steady')
  // Failures go on meanwhile: their ceiling is one of a minute.
  let isKnown = false
  const known = decided(bus, pipelines, 120_000).then(() => {
    isKnown = true
  })
  while (!isKnown) await tick(['failing'])
  await known
  // Until all have told each other, and a pane has begun: then no bar is older than what is known.
  const pane = Math.floor((Date.now() + 3_000) / paneMs)
  while (Date.now() < (pane + 1) * paneMs + 500) await tick(['failing'])
  const first = probesOf(traffic)
  await append(bus, pipelines, first)
  for (let at = 0; at < 15; at++) await tick(['failing'])
  const probes = probesOf(traffic)
  await append(bus, pipelines, probes)
  const from = sent.length
  for (let at = 0; at < 90; at++) await tick(all, 5)
  await decided(bus, pipelines, 120_000)
  const after = sent.slice(from).filter(({ kind }) => kind === 'steady')
  return { pipelines, steady, probes, after, others: sent.filter(({ kind }) => kind !== 'steady') }
}

/** Too few to move a bar, and one at least in every partition. */
function probesOf(traffic: FleetTraffic): SentTrace[] {
  return Array.from({ length: 8 * partitions }, () => traffic.one('steady'))
}

const share = (of: readonly Decided[]): number =>
  of.filter(({ slow }) => slow.matched).length / of.length

test.runIf(broker !== '')(
  `the same traces through one sampler and through four are judged alike (seed ${seed})`,
  { timeout: 400_000 },
  async () => {
    const run = await play([await startSamplers(1), await startSamplers(4)])
    const bus = await openBus(
      broker,
      run.pipelines.flatMap(topics => Object.values(topics)),
    )
    onTestFinished(() => bus.close())
    const [one, four] = await Promise.all(run.pipelines.map(topics => decisionsOf(bus, topics)))
    const bars: number[][] = []
    for (const [samplers, decisions] of [
      [1, one],
      [4, four],
    ] as const) {
      if (decisions === undefined) throw new Error('no decisions')
      const of = (traces: readonly SentTrace[]) =>
        traces.map(({ traceId }) => {
          const found = decisions.get(traceId)
          if (found === undefined) throw new Error(`no decision on ${traceId}`)
          return found
        })
      const kinds = Map.groupBy(run.others, ({ kind }) => kind)
      bars.push(of(run.probes).map(({ slow }) => Number(slow.threshold)))
      expectSlow(samplers, run, of, of(kinds.get('constant') ?? []))
      expectCap(samplers, of(kinds.get('arm') ?? []))
      expectCeiling(samplers, of(kinds.get('failing') ?? []))
    }
    const [least = 0, most = 0] = [Math.min(...bars.flat()), Math.max(...bars.flat())]
    expect(most / least, `${least} to ${most} ms`).toBeLessThanOrEqual(1.01)
    const durations = run.steady.map(({ durationMs }) => durationMs)
    for (const bar of bars.flat()) expect(checkP99(durations, bar)).toBeNull()
    console.log(
      `seed ${seed}: ${run.steady.length + run.after.length + run.others.length} traces, bars ${least} to ${most} ms`,
    )
  },
)

function expectSlow(
  samplers: number,
  { steady, after }: Run,
  of: (traces: readonly SentTrace[]) => Decided[],
  constant: readonly Decided[],
): void {
  // While few roots are known a bar is their p99, and no better told than that.
  const warm = of(steady).filter(({ slow }) => Number(slow.detail?.count) >= 5_000)
  expect(warm.length).toBeGreaterThan(steady.length / 2)
  const usual = share(warm)
  expect(Math.abs(usual - 0.01), `${samplers}: ${usual}`).toBeLessThanOrEqual(0.002)
  expect(share(constant), `${samplers}: constant`).toBe(0)
  const windows: number[] = []
  for (let at = 0; at + 9_000 <= after.length; at += 9_000) {
    windows.push(share(of(after.slice(at, at + 9_000))))
  }
  expect(windows.length).toBeGreaterThanOrEqual(3)
  for (const one of windows) {
    expect(one, `${samplers}: ${windows}`).toBeLessThanOrEqual(0.03)
    expect(one, `${samplers}: ${windows}`).toBeGreaterThan(0.004)
  }
  console.log(`${samplers} samplers: slow ${usual} of steady traffic, after the step ${windows}`)
}

function expectCap(samplers: number, arm: readonly Decided[]): void {
  // At midnight a cap begins anew.
  const days = Map.groupBy(arm, ({ decidedAtMs }) => Math.floor(decidedAtMs / 86_400_000))
  for (const [day, own] of days) {
    const kept = own.filter(({ variant }) => variant.matched).length
    console.log(`${samplers} samplers: cap of ${dailyCap}, kept ${kept} of ${own.length}`)
    expect(kept, `${samplers}: day ${day}`).toBeLessThanOrEqual(1.03 * dailyCap)
    expect(kept, `${samplers}: day ${day}`).toBeGreaterThanOrEqual(
      Math.min(own.length, 0.97 * dailyCap),
    )
  }
}

function expectCeiling(samplers: number, failing: readonly Decided[]): void {
  const minutes = Map.groupBy(failing, ({ decidedAtMs }) => Math.floor(decidedAtMs / minuteMs))
  const last = Math.max(...minutes.keys())
  let full = 0
  for (const [minute, own] of minutes) {
    const kept = own.filter(({ verdict }) => verdict === 'keep').length
    expect(kept, `${samplers}: minute ${minute}`).toBeLessThanOrEqual(1.03 * perMinute)
    // One that had enough, and went on to its end.
    if (minute === last || own.length < 1.5 * perMinute) continue
    full++
    console.log(`${samplers} samplers: ceiling of ${perMinute}, kept ${kept} of ${own.length}`)
    expect(kept, `${samplers}: minute ${minute}`).toBeGreaterThanOrEqual(0.97 * perMinute)
    const stands = own.reduce((sum, { adjustedCount }) => sum + adjustedCount, 0)
    expect(Math.abs(stands / own.length - 1), `${stands} for ${own.length}`).toBeLessThan(0.15)
  }
  expect(full, 'a minute of failures to its end').toBeGreaterThan(0)
}
