import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus, TopicSpec } from '@winnow/bus'
import type { SamplingReport } from '@winnow/query'
import { ManualClock, systemClock } from '@winnow/runtime'
import {
  activeVariant,
  defaultOraclePolicy,
  type OraclePolicy,
  type TraceTruth,
  type TrafficEvaluation,
  type TrafficEvent,
  type TrafficOptions,
  type TrafficRequest,
  traceKey,
  trafficEvents,
} from '@winnow/testing'
import { type HarnessOptions, keyOf, PipelineHarness, tenants } from './pipeline-harness.ts'
import { TenantApi } from './tenant-api.ts'
import { TrafficPlayer } from './traffic-player.ts'

export interface SeedOptions {
  readonly seed: number
  readonly traces: number
  /** A policy file registers the variant that the traffic has for it, and keeps 20 % of the ordinary. */
  readonly isVariantActive?: boolean
}

/** One seed's traffic, sent, decided and written, while the pipeline still answers. */
export interface SeedRun {
  readonly seed: number
  readonly harness: PipelineHarness
  /** In order of sending. */
  readonly requests: readonly TrafficRequest[]
  readonly evaluations: readonly TrafficEvaluation[]
  readonly traces: readonly TraceTruth[]
  readonly policy: OraclePolicy
  /** A moment of the run's log time. */
  readonly nowMs: number
  /** Every stage has done what is due before the next request is sent. */
  readonly isInStep: boolean
  /** The bus is this process's own: no stage has a reason to ask twice, or to complain. */
  readonly isLocal: boolean
  /** By tenant. */
  readonly apis: ReadonlyMap<string, TenantApi>
  stop(): Promise<void>
}

/**
 * Unhurried traffic - long traces of minutes, evaluations up to six hours late - by a clock that
 * stands still while a request is under way. Nothing but sockets outside of memory.
 */
export async function playOnMemory(
  options: SeedOptions,
  openBus: (specs: readonly TopicSpec[], clock: ManualClock) => Bus,
): Promise<SeedRun> {
  const startMs = Date.UTC(2026, 10, 21, 9)
  const clock = new ManualClock()
  clock.advanceMs(startMs)
  const run = await start(
    options,
    { startMs },
    {
      clock,
      stores: 'memory',
      openBus: specs => openBus(specs, clock),
    },
  )
  return finish(
    run,
    player => player.playByClock(run.events, clock),
    async () => {
      clock.advanceMs(tickMs)
      await sleep(pauseMs)
    },
  )
}

export interface QuickOptions extends SeedOptions, Pick<HarnessOptions, 'prefix' | 'buffer'> {
  readonly segmentAge?: string
  readonly tracesPerSecond?: number
  /** Runs beside the traffic, to spoil what it stands on; it has ended before the pipeline is waited for. */
  readonly meanwhile?: () => Promise<void>
}

/**
 * The same traffic squeezed into seconds of the wall clock, with waits to match, on stores of files.
 * `prefix` keeps the topics of several runs apart on one broker.
 */
export async function playQuickly(
  options: QuickOptions,
  openBus: HarnessOptions['openBus'],
): Promise<SeedRun> {
  const { segmentAge = '1s', tracesPerSecond = 1_000, prefix, buffer, meanwhile, ...seed } = options
  const startMs = Date.now()
  const traffic: Omit<TrafficOptions, 'seed' | 'traces'> = {
    startMs,
    quick: true,
    tracesPerSecond,
    // Cut in its middle by `openMax`.
    longTraceMs: [3_200, 4_500],
    evaluationDelays: { longMs: [2_500, 3_500] },
  }
  const run = await start(seed, traffic, {
    clock: systemClock,
    stores: 'files',
    openBus,
    // 2 × quiet: an entry span waits up to 1.5 s for its parent.
    assembler: { quiet: '1s', rootless: '2s', openMax: '3s', clockSlack: '250ms' },
    segmentAge,
    ...(prefix !== undefined && { prefix }),
    ...(buffer !== undefined && { buffer }),
  })
  return finish(
    run,
    async player => {
      await Promise.all([player.playByWall(run.events, startMs), meanwhile?.()])
    },
    () => sleep(pauseMs),
  )
}

interface StartedRun extends SeedRun {
  readonly events: readonly TrafficEvent[]
}

async function start(
  { seed, traces, isVariantActive = false }: SeedOptions,
  options: Omit<TrafficOptions, 'seed' | 'traces'>,
  harnessOptions: HarnessOptions,
): Promise<StartedRun> {
  const { startMs } = options
  const events = [...trafficEvents({ ...options, seed, traces, tenants })]
  const untilMs = startMs + 7 * 86_400_000
  const policy = isVariantActive ? { policy: policyFile(untilMs) } : {}
  const harness = await PipelineHarness.start({ ...harnessOptions, ...policy })
  const { api } = harness.addresses
  const apis = new Map<string, TenantApi>()
  for (const tenant of tenants) apis.set(tenant, new TenantApi(api, keyOf(tenant)))
  return {
    seed,
    harness,
    events,
    requests: events.filter(event => event.kind === 'request'),
    evaluations: events.filter(event => event.kind === 'evaluation'),
    traces: events.filter(event => event.kind === 'trace'),
    policy: isVariantActive ? activePolicy(untilMs) : defaultOraclePolicy,
    nowMs: startMs,
    isInStep: harnessOptions.clock !== systemClock,
    isLocal: harnessOptions.prefix === undefined,
    apis,
    stop: async () => {
      for (const one of apis.values()) one.close()
      await harness.stop()
    },
  }
}

/** Sends, then waits until everything is decided, written and known to the API. */
async function finish(
  run: StartedRun,
  play: (player: TrafficPlayer) => Promise<void>,
  tick: () => Promise<void>,
): Promise<SeedRun> {
  const player = new TrafficPlayer(run.harness)
  try {
    await play(player)
    await run.harness.drained(tick, drainWaitMs)
    await apiKnowsAll(run)
    return run
  } catch (error) {
    await run.stop()
    throw new Error(`seed ${run.seed}: ${String(error)}`, { cause: error })
  } finally {
    player.close()
  }
}

/** Until every trace is counted and the counts rest. Throws with the counts after a while. */
async function apiKnowsAll(run: StartedRun): Promise<void> {
  const decided = new Set(run.traces.map(({ tenant, traceId }) => traceKey(tenant, traceId)))
  const orphans = new Set(
    run.evaluations
      .map(({ tenant, traceId }) => traceKey(tenant, traceId))
      .filter(key => !decided.has(key)),
  )
  const untilMs = Date.now() + drainWaitMs
  for (let before = ''; ; await sleep(restMs)) {
    const reports = await Promise.all(
      Array.from(run.apis.values(), api => api.read<SamplingReport>('/api/v1/sampling')),
    )
    const sum = (of: (report: SamplingReport) => number): number =>
      reports.reduce((total, report) => total + of(report), 0)
    const counts = `${sum(one => one.kept + one.dropped + one.gone)} of ${decided.size} traces are decided, ${sum(one => one.awaiting)} of ${orphans.size} orphans awaiting`
    const now = JSON.stringify(reports)
    const isAll =
      counts ===
      `${decided.size} of ${decided.size} traces are decided, ${orphans.size} of ${orphans.size} orphans awaiting`
    if (isAll && now === before) return
    if (Date.now() > untilMs) throw new Error(`/api/v1/sampling after ${drainWaitMs} ms: ${counts}`)
    before = now
  }
}

const ordinaryShare = 0.2

function policyFile(untilMs: number): string {
  const until = new Date(untilMs).toISOString()
  return `
version: oracle-1
rules:
  - kind: span-error
  - kind: judge-failed
  - kind: citation-failed
  - kind: low-csat
  - kind: outcome-failed
  - kind: slow
  - kind: active-variant
    variants:
      - { experiment: ${activeVariant.experiment}, variant: ${activeVariant.variant}, until: ${until}, dailyCap: 1000000 }
  - kind: ordinary
    probability: ${ordinaryShare}
`
}

function activePolicy(untilMs: number): OraclePolicy {
  const rules = defaultOraclePolicy.rules.map(rule =>
    rule.name === 'ordinary' ? { ...rule, probability: ordinaryShare } : rule,
  )
  return { rules, variants: [{ ...activeVariant, untilMs }] }
}

/** What passes at a time of the test's clock, and of the wall clock, while the stages finish. */
const tickMs = 15_000
const pauseMs = 40
/** Between two looks at the API; longer than any reader sleeps at the end of its log. */
const restMs = 300
/** A pipeline that stands still is a finding, not a reason to wait. */
const drainWaitMs = 60_000
