// One run: a program of its own, warmed up, driven, and watched until all is decided and written.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { settled } from '../settled.ts'
import { type RunningWinnow, startWinnow } from '../winnow-process.ts'
import type { Driven } from './generator.ts'
import { startGenerator } from './generator-process.ts'
import { type Scrape, scrape } from './metrics-text.ts'
import type { LoadOptions } from './options.ts'
import { readProfiles, type ThreadProfile } from './profile.ts'
import { experiment, watchedVariant } from './shape.ts'
import { cpuSeconds, memoryMiB, type ThreadSeconds, threadSeconds } from './usage.ts'

/** CPU-seconds and how they compare: per million spans. */
export interface RunResult extends Driven {
  readonly spansPerSecond: number
  readonly cpuPerMillion: number
  readonly cpuPerMillionByThread: Readonly<Record<string, number>>
  readonly generatorCpuPerMillion: number
  readonly brokerCpuPerMillion: number | undefined
  /** While the load ran; the timer's own 10 ms are in it. */
  readonly loopP50Ms: number
  readonly loopP99Ms: number
  readonly loopMaxMs: number
  readonly rssMiB: number
  readonly rssPeakMiB: number
  readonly decisionDelayP50S: number
  readonly decisionDelayP99S: number
  /** From the last acknowledgement until everything was written. */
  readonly drainSeconds: number
  readonly decided: number
  readonly kept: number
  readonly decisionsByRule: Readonly<Record<string, number>>
  readonly verify: unknown
  readonly exitCode: number | null
  readonly profiles: readonly ThreadProfile[]
}

export interface Broker {
  readonly url: string
  readonly pid: number | undefined
}

const settleMaxMs = 120_000

export async function runLoad(options: LoadOptions, broker?: Broker): Promise<RunResult> {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-load-'))
  const winnow = await startWinnow({ env: environment(options, folder, broker) })
  const generator = startGenerator()
  try {
    const base = { address: winnow.otlpHttp, connections: options.connections }
    const warmUp = await generator.drive({ ...base, spans: options.warmUpSpans })
    await settle(winnow, warmUp.traces)
    const run = { ...base, spans: options.spans, rate: options.rate }
    const measured = await measure(winnow, broker, warmUp.traces, () => generator.drive(run))
    const verify = await verifyOf(winnow)
    const exitCode = await winnow.stop()
    const profiles = options.profile ? readProfiles(folder) : []
    return { ...measured, verify, exitCode, profiles }
  } finally {
    generator.stop()
    await winnow.kill9()
    winnow.clean()
    if (!options.profile) rmSync(folder, { recursive: true, force: true })
  }
}

export function environment(
  { quietMs, spans, warmUpSpans, profile }: LoadOptions,
  folder: string,
  broker: Broker | undefined,
): Record<string, string> {
  const policy = join(folder, 'policy.yaml')
  writeFileSync(policy, policyText)
  return {
    WINNOW_POLICY: policy,
    WINNOW_ASSEMBLER_QUIET: `${quietMs}ms`,
    WINNOW_ASSEMBLER_ROOTLESS: `${2 * quietMs + 1000}ms`,
    WINNOW_ASSEMBLER_OPEN_MAX: '2min',
    // Were each span a trace, all would be remembered.
    WINNOW_QUERY_FOLD_BYTES_MAX: `${128 * (spans + warmUpSpans)}B`,
    WINNOW_WRITER_SEGMENT_AGE: '10s',
    ...(broker && { WINNOW_BUS: broker.url, WINNOW_TOPICS_PREFIX: `load-${Date.now()}` }),
    ...(profile && { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder}` }),
  }
}

const policyText = `v: 1
version: load
rules:
  - kind: span-error
  - kind: judge-failed
  - kind: citation-failed
  - kind: low-csat
  - kind: outcome-failed
  - kind: slow
  - kind: active-variant
    variants:
      - { experiment: ${experiment}, variant: ${watchedVariant}, until: 2099-01-01T00:00:00Z, dailyCap: 1000000000 }
  - kind: ordinary
    probability: 0.1
`

type Measured = Omit<RunResult, 'verify' | 'exitCode' | 'profiles'>

async function measure(
  winnow: RunningWinnow,
  broker: Broker | undefined,
  tracesBefore: number,
  drive: () => Promise<Driven>,
): Promise<Measured> {
  const { pid } = winnow
  const brokerCpu = (): number => (broker?.pid === undefined ? 0 : cpuSeconds(broker.pid))
  const keptBefore = (await decidedOf(winnow)).kept
  const before = await scrape(winnow.metrics)
  const threadsBefore = threadSeconds(pid)
  const cpuBefore = cpuSeconds(pid)
  const brokerBefore = brokerCpu()
  const driven = await drive()
  const under = await scrape(winnow.metrics)
  const drainedFrom = performance.now()
  const { decided, kept } = await settle(winnow, tracesBefore + driven.traces)
  const drainSeconds = (performance.now() - drainedFrom) / 1000
  const cpu = cpuSeconds(pid) - cpuBefore
  const threads = threadsSince(threadsBefore, threadSeconds(pid))
  const after = await scrape(winnow.metrics)
  const memory = memoryMiB(pid)
  const perMillion = (seconds: number): number => (seconds / driven.spans) * 1e6
  const delay = (share: number): number =>
    after.quantile('winnow_decision_delay_seconds', share, before)
  return {
    ...driven,
    spansPerSecond: driven.spans / driven.seconds,
    cpuPerMillion: perMillion(cpu),
    cpuPerMillionByThread: Object.fromEntries(
      [...threads].map(([name, seconds]) => [name, perMillion(seconds)]),
    ),
    generatorCpuPerMillion: perMillion(driven.cpuSeconds),
    brokerCpuPerMillion:
      broker?.pid === undefined ? undefined : perMillion(brokerCpu() - brokerBefore),
    loopP50Ms: 1000 * under.sum('nodejs_eventloop_lag_p50_seconds'),
    loopP99Ms: 1000 * under.sum('nodejs_eventloop_lag_p99_seconds'),
    loopMaxMs: 1000 * under.sum('nodejs_eventloop_lag_max_seconds'),
    rssMiB: memory.rss,
    rssPeakMiB: memory.peak,
    decisionDelayP50S: delay(0.5),
    decisionDelayP99S: delay(0.99),
    drainSeconds,
    decided: decided - tracesBefore,
    kept: kept - keptBefore,
    decisionsByRule: byRule(before, after),
  }
}

/** Until every trace is decided and both groups of the writer are through. */
async function settle(
  winnow: RunningWinnow,
  traces: number,
): Promise<{ readonly decided: number; readonly kept: number }> {
  await settled(winnow.metrics, settleMaxMs)
  // The writer may be through a moment before query has read the same decisions.
  for (const untilMs = Date.now() + settleMaxMs; ; await sleep(500)) {
    const counts = await decidedOf(winnow)
    if (counts.decided >= traces || Date.now() >= untilMs) return counts
  }
}

async function decidedOf(winnow: RunningWinnow): Promise<{ decided: number; kept: number }> {
  const response = await fetch(`http://${winnow.api}/api/v1/sampling`)
  const { kept, dropped } = (await response.json()) as { kept: number; dropped: number }
  return { decided: kept + dropped, kept }
}

/** Undefined where this release does not have it. */
async function verifyOf(winnow: RunningWinnow): Promise<unknown> {
  const response = await fetch(`http://${winnow.api}/api/v1/verify`)
  if (response.status === 404) return undefined
  return response.json()
}

function threadsSince(before: ThreadSeconds, after: ThreadSeconds): [string, number][] {
  return [...after]
    .map(([name, seconds]): [string, number] => [name, seconds - (before.get(name) ?? 0)])
    .filter(([, seconds]) => seconds > 0.005)
    .sort(([, a], [, b]) => b - a)
}

function byRule(before: Scrape, after: Scrape): Record<string, number> {
  const sums: Record<string, number> = {}
  const old = before.by('winnow_decisions_total')
  for (const [labels, count] of after.by('winnow_decisions_total')) {
    const rule = /rule="([^"]*)"/.exec(labels)?.[1] ?? ''
    const verdict = /verdict="([^"]*)"/.exec(labels)?.[1] ?? ''
    const name = `${verdict} ${rule}`
    sums[name] = (sums[name] ?? 0) + count - (old.get(labels) ?? 0)
  }
  return sums
}
