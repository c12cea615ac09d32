// One run: processes of its own, warmed up, driven, and watched until all is decided and written.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { settled } from '../settled.ts'
import { winnow } from '../winnow-process.ts'
import { type Environment, type Fleet, targetsFleet, upFleet } from './fleet.ts'
import type { Driven } from './generator.ts'
import { startGenerator } from './generator-process.ts'
import { type Scrape, scrapeAll } from './metrics-text.ts'
import type { LoadOptions } from './options.ts'
import { readProfiles, type ThreadProfile } from './profile.ts'
import { experiment, watchedVariant } from './shape.ts'
import { cpuSeconds, memoryMiB, type PartSeconds, threadSeconds } from './usage.ts'

/** CPU-seconds and how they compare: per million spans. */
export interface RunResult extends Driven {
  readonly spansPerSecond: number
  readonly cpuPerMillion: number
  /** Of the threads of the one process, or of each process. */
  readonly cpuPerMillionByPart: Readonly<Record<string, number>>
  readonly generatorCpuPerMillion: number
  /** Of the servers beside, by name; none of it is in `cpuPerMillion`. */
  readonly serverCpuPerMillion: Readonly<Record<string, number>>
  /** Of what takes the spans in, while the load ran; the timer's own 10 ms are in it. */
  readonly loopP50Ms: number
  readonly loopP99Ms: number
  readonly loopMaxMs: number
  /** Of all processes together. */
  readonly rssMiB: number
  readonly rssPeakMiB: number
  readonly decisionDelayP50S: number
  readonly decisionDelayP99S: number
  /** From the last acknowledgement until everything was written. */
  readonly drainSeconds: number
  readonly decided: number
  readonly kept: number
  readonly decisionsByRule: Readonly<Record<string, number>>
  readonly buffer: BufferUse | undefined
  readonly verify: unknown
  readonly exitCode: number | null
  readonly profiles: readonly ThreadProfile[]
  /** As `winnow cost` tells it; undefined: nobody asked. */
  readonly cost: string | undefined
}

/** What the program stands on, and how. */
export interface Ground {
  readonly env: Environment
  /** A process for each stage. */
  readonly isFleet: boolean
  /** Of servers on this machine, by name. */
  readonly serverPids: Readonly<Record<string, number>>
  /** Bytes that the trace buffer's server holds, where there is one. */
  readonly bufferBytes?: () => Promise<number>
}

export interface BufferUse {
  /** Of the slices that the writer asked for. */
  readonly hitShare: number
  /** When the last span was acknowledged, as is the next. */
  readonly bytes: number
  readonly openTraces: number
}

/** One process that needs nothing beside. */
export const ownGround: Ground = { env: {}, isFleet: false, serverPids: {} }

const settleMaxMs = 120_000

export async function runLoad(options: LoadOptions, ground: Ground): Promise<RunResult> {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-load-'))
  const start = ground.isFleet ? targetsFleet : upFleet
  const env = environment(options, folder, ground)
  const fleet = await start(env)
  const generator = startGenerator()
  try {
    const base = { address: fleet.otlpHttp, connections: options.connections }
    const warmUp = await generator.drive({ ...base, spans: options.warmUpSpans })
    await settle(fleet, warmUp.traces)
    const run = { ...base, spans: options.spans, rate: options.rate }
    const measured = await measure(fleet, ground, warmUp.traces, () => generator.drive(run))
    const verify = await verifyOf(fleet)
    const exitCode = await fleet.stop()
    const profiles = options.profile ? readProfiles(folder) : []
    const cost = options.cost ? await costOf(fleet, env) : undefined
    return { ...measured, verify, exitCode, profiles, cost }
  } finally {
    generator.stop()
    await fleet.remove()
    if (!options.profile) rmSync(folder, { recursive: true, force: true })
  }
}

export function environment(
  { quietMs, spans, warmUpSpans, profile }: LoadOptions,
  folder: string,
  ground: Ground,
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
    ...(ground !== ownGround && { WINNOW_TOPICS_PREFIX: `load-${Date.now()}` }),
    ...ground.env,
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

type Measured = Omit<RunResult, 'verify' | 'exitCode' | 'profiles' | 'cost'>

async function measure(
  fleet: Fleet,
  { serverPids, bufferBytes }: Ground,
  tracesBefore: number,
  drive: () => Promise<Driven>,
): Promise<Measured> {
  const keptBefore = (await decidedOf(fleet)).kept
  const before = await scrapeAll(fleet.metrics)
  const partsBefore = partsOf(fleet)
  const cpuBefore = cpuOf(fleet)
  const serversBefore = secondsOf(serverPids)
  const driven = await drive()
  const under = await scrapeAll(fleet.metrics.slice(0, 1))
  const bytes = await bufferBytes?.()
  const openTraces = (await scrapeAll(fleet.metrics)).sum('winnow_open_traces')
  const drainedFrom = performance.now()
  const { decided, kept } = await settle(fleet, tracesBefore + driven.traces)
  const drainSeconds = (performance.now() - drainedFrom) / 1000
  const cpu = cpuOf(fleet) - cpuBefore
  const parts = since(partsBefore, partsOf(fleet))
  const servers = since(serversBefore, secondsOf(serverPids))
  const after = await scrapeAll(fleet.metrics)
  const memory = Array.from(fleet.processes.values(), ({ pid }) => memoryMiB(pid))
  const perMillion = (seconds: number): number => (seconds / driven.spans) * 1e6
  const eachPerMillion = (seconds: readonly (readonly [string, number])[]) =>
    Object.fromEntries(seconds.map(([name, own]) => [name, perMillion(own)]))
  const delay = (share: number): number =>
    after.quantile('winnow_decision_delay_seconds', share, before)
  return {
    ...driven,
    spansPerSecond: driven.spans / driven.seconds,
    cpuPerMillion: perMillion(cpu),
    cpuPerMillionByPart: eachPerMillion(parts),
    generatorCpuPerMillion: perMillion(driven.cpuSeconds),
    serverCpuPerMillion: eachPerMillion(servers),
    loopP50Ms: 1000 * under.sum('nodejs_eventloop_lag_p50_seconds'),
    loopP99Ms: 1000 * under.sum('nodejs_eventloop_lag_p99_seconds'),
    loopMaxMs: 1000 * under.sum('nodejs_eventloop_lag_max_seconds'),
    rssMiB: memory.reduce((sum, { rss }) => sum + rss, 0),
    rssPeakMiB: memory.reduce((sum, { peak }) => sum + peak, 0),
    decisionDelayP50S: delay(0.5),
    decisionDelayP99S: delay(0.99),
    drainSeconds,
    decided: decided - tracesBefore,
    kept: kept - keptBefore,
    decisionsByRule: byRule(before, after),
    buffer:
      bytes === undefined ? undefined : { hitShare: hitShare(before, after), bytes, openTraces },
  }
}

function hitShare(before: Scrape, after: Scrape): number {
  const name = 'winnow_trace_buffer_reads_total'
  const of = (scrape: Scrape): number => scrape.by(name).get('{result="hit"}') ?? 0
  return (of(after) - of(before)) / (after.sum(name) - before.sum(name))
}

function cpuOf({ processes }: Fleet): number {
  let sum = 0
  for (const { pid } of processes.values()) sum += cpuSeconds(pid)
  return sum
}

/** Of the threads of the one process there is, or of each process. */
function partsOf({ processes }: Fleet): PartSeconds {
  const [only] = processes.values()
  if (processes.size === 1 && only !== undefined) return threadSeconds(only.pid)
  return new Map(Array.from(processes, ([name, { pid }]) => [name, cpuSeconds(pid)]))
}

function secondsOf(pids: Ground['serverPids']): PartSeconds {
  return new Map(Object.entries(pids).map(([name, pid]) => [name, cpuSeconds(pid)]))
}

/** Until every trace is decided and both groups of the writer are through. */
async function settle(
  fleet: Fleet,
  traces: number,
): Promise<{ readonly decided: number; readonly kept: number }> {
  await settled(fleet.metrics, settleMaxMs)
  // The writer may be through a moment before query has read the same decisions.
  for (const untilMs = Date.now() + settleMaxMs; ; await sleep(500)) {
    const counts = await decidedOf(fleet)
    if (counts.decided >= traces || Date.now() >= untilMs) return counts
  }
}

async function decidedOf(fleet: Fleet): Promise<{ decided: number; kept: number }> {
  const response = await fetch(`http://${fleet.api}/api/v1/sampling`)
  const { kept, dropped } = (await response.json()) as { kept: number; dropped: number }
  return { decided: kept + dropped, kept }
}

async function costOf({ data }: Fleet, env: Environment): Promise<string> {
  const asked = ['cost', '--data', data, '--days', '1', '--by', 'rule', '--compare']
  const { code, stdout, stderr } = await winnow(asked, env)
  if (code !== 0) throw new Error(stderr)
  return stdout
}

/** Undefined where this release does not have it. */
async function verifyOf(fleet: Fleet): Promise<unknown> {
  const response = await fetch(`http://${fleet.api}/api/v1/verify`)
  if (response.status === 404) return undefined
  return response.json()
}

function since(before: PartSeconds, after: PartSeconds): [string, number][] {
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
