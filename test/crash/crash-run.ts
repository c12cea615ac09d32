import { setTimeout as sleep } from 'node:timers/promises'
import type { LedgerReport, SamplingReport } from '@winnow/query'
import { defaultOraclePolicy, Random, sentSpans, traceKey } from '@winnow/testing'
import { type ComparedRun, compareWithOracle } from '../support/agreement.ts'
import { keyOf, tenants } from '../support/pipeline-harness.ts'
import { TenantApi } from '../support/tenant-api.ts'
import { type Balance, balanceOf } from './balance.ts'
import { metricSum } from './metrics.ts'
import type { System } from './systems.ts'
import { type Acknowledged, SeededTraffic } from './traffic.ts'

/** What stood at the moment of a kill, and how long the way back took. */
export interface Kill {
  readonly name: string
  readonly openTraces: number
  readonly requestsInFlight: number
  /** From the start of the new process to its ready line. */
  readonly readyMs: number
  /** From the start of the new process to the first thing it has done: see {@link progressOf}. */
  readonly resumeMs: number
}

export interface Outcome extends Balance {
  readonly kept: number
  readonly dropped: number
}

/** Half a minute is what is promised of a machine of its own; this one may be busy with others. */
const resumeWaitMs = 120_000
/** Below so many open traces a kill proves little. */
export const openTracesMin = 1_000

export interface CrashRunOptions {
  readonly seed: number
  readonly system: System
  readonly tracesPerSecond?: number
  readonly say?: (line: string) => void
}

/** One system under traffic: killed as often as asked, then held to account. */
export class CrashRun {
  readonly system: System
  readonly traffic: SeededTraffic
  readonly violations: string[] = []
  readonly #options: CrashRunOptions
  readonly #random: Random
  readonly #say: (line: string) => void

  constructor(options: CrashRunOptions) {
    const { seed, system, tracesPerSecond = 140 } = options
    this.#options = options
    this.system = system
    this.#say = options.say ?? (() => {})
    this.#random = Random.of(seed, 0xdead)
    this.traffic = new SeededTraffic({ seed, tracesPerSecond, entrances: system.entrances })
    this.traffic.start()
  }

  /** Waits for more than a thousand open traces, kills, starts again, and waits until it does its work. */
  async kill(name: string): Promise<Kill> {
    const openTraces = await this.manyOpen()
    await sleep(this.#random.int(0, 400))
    // The very moment in which requests have no answer yet.
    while (this.traffic.requestsUnderWay === 0) await sleep(0)
    const requestsInFlight = this.traffic.requestsUnderWay
    await this.system.running(name).kill9()
    return { name, openTraces, requestsInFlight, ...(await this.startAgain(name)) }
  }

  /** SIGTERM and start, under the same traffic. */
  async stopAndStart(name: string): Promise<Kill> {
    const openTraces = await this.manyOpen()
    const requestsInFlight = this.traffic.requestsUnderWay
    const code = await this.system.running(name).stop()
    if (code !== 0) this.violations.push(`${name} ended with ${code} on SIGTERM`)
    return { name, openTraces, requestsInFlight, ...(await this.startAgain(name)) }
  }

  async startAgain(name: string): Promise<{ readyMs: number; resumeMs: number }> {
    const atMs = Date.now()
    await this.system.start(name)
    const readyMs = Date.now() - atMs
    while (!(await hasProgressed(this.system, name))) {
      if (Date.now() - atMs > resumeWaitMs) {
        throw new Error(`${name} does nothing ${Date.now() - atMs} ms after its start`)
      }
      await sleep(50)
    }
    return { readyMs, resumeMs: Date.now() - atMs }
  }

  /** Ends the traffic, waits for every decision, and compares with the oracle and with the log. */
  async account(): Promise<Outcome> {
    const sent = await this.traffic.finish()
    this.#say(`${sent.requests.length} requests acknowledged`)
    const run = comparedRun(this.#options.seed, this.system, sent)
    try {
      await allDecided(run)
      await hotIsWritten(this.system)
      this.#say('everything is decided; asking for each trace')
      const agreement = await compareWithOracle(run)
      const verified = await verify(run)
      const codes = await this.system.stop()
      this.#say('stopped; reading the topics and the store')
      const { figures, violations } = await balanceOf(this.system, sent)
      const badCodes = Object.entries(codes).filter(([, code]) => code !== 0)
      return {
        figures,
        kept: agreement.kept,
        dropped: agreement.dropped,
        violations: [
          ...this.violations,
          ...agreement.disagreements,
          ...verified,
          ...violations,
          ...badCodes.map(([name, code]) => `${name} ended with ${code} on SIGTERM`),
        ],
      }
    } finally {
      for (const api of run.apis.values()) api.close()
    }
  }

  /** Until so many traces are open; how many there are. */
  async manyOpen(min = openTracesMin): Promise<number> {
    const untilMs = Date.now() + 30_000
    for (;;) {
      const open = await openTracesOf(this.system)
      if (open > min) return open
      if (Date.now() > untilMs) {
        this.violations.push(`only ${open} traces were open, not ${min}`)
        return open
      }
      await sleep(100)
    }
  }
}

/** Over all assemblers that run. */
export async function openTracesOf(system: System): Promise<number> {
  const holders = system.names.filter(name => /^(up|assembler)/.test(name))
  const counts = await Promise.all(
    holders.map(name => metricSum(system.running(name).metrics, 'winnow_open_traces')),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}

/** What a process counts when it has done something of its own; a new one begins at zero. */
const progressOf: Readonly<Record<string, string>> = {
  up: 'winnow_decisions_total',
  receiver: 'winnow_spans_received_total',
  assembler: 'winnow_traces_closed_total',
  sampler: 'winnow_decisions_total',
  writer: 'winnow_tier_objects_total',
}

async function hasProgressed(system: System, name: string): Promise<boolean> {
  const stage = name.replace(/-2$/, '')
  // It is ready once it has read the decisions.
  if (stage === 'query') return true
  return (await metricSum(system.running(name).metrics, progressOf[stage] ?? '')) > 0
}

function comparedRun(seed: number, system: System, sent: Acknowledged): ComparedRun {
  const traces = new Map<string, { readonly tenant: string; readonly traceId: string }>()
  for (const { tenant, data } of sent.requests) {
    for (const { span } of sentSpans(data)) {
      traces.set(traceKey(tenant, span.traceId), { tenant, traceId: span.traceId })
    }
  }
  return {
    seed,
    ...sent,
    traces: [...traces.values()],
    policy: defaultOraclePolicy,
    nowMs: Date.now(),
    thresholds: 'as recorded',
    complaints: [],
    apis: new Map(
      tenants.map(tenant => [tenant, new TenantApi(system.entrances.api, keyOf(tenant))]),
    ),
  }
}

/** What `winnow verify` says of each tenant, where it is not balanced or something still pends. */
async function verify({ apis }: ComparedRun): Promise<string[]> {
  const lines: string[] = []
  for (const [tenant, api] of apis) {
    const { balanced, pending, lostToRetention, ...rest } = await verified(api)
    if (balanced && pending === 0 && lostToRetention === 0) continue
    lines.push(`verify of ${tenant}: ${JSON.stringify({ pending, lostToRetention, ...rest })}`)
  }
  return lines
}

/** 202 says how far it is. */
async function verified(api: TenantApi): Promise<LedgerReport> {
  for (;;) {
    const { status, text } = await api.get('/api/v1/verify?full=true')
    if (status === 200) return JSON.parse(text) as LedgerReport
    if (status !== 202) throw new Error(`verify was answered with ${status}: ${text}`)
    await sleep(300)
  }
}

const decideWaitMs = 120_000

/** Until the API knows every trace and every orphan, and its counts rest. */
async function allDecided(run: ComparedRun): Promise<void> {
  const decided = new Set(run.traces.map(({ tenant, traceId }) => traceKey(tenant, traceId)))
  const untilMs = Date.now() + decideWaitMs
  for (let before = ''; ; await sleep(500)) {
    const reports = await Promise.all(
      Array.from(run.apis.values(), api => api.read<SamplingReport>('/api/v1/sampling')),
    )
    const known = reports.reduce((sum, one) => sum + one.kept + one.dropped + one.gone, 0)
    const now = JSON.stringify(reports)
    if (known === decided.size && now === before) return
    if (Date.now() > untilMs) {
      throw new Error(`${known} of ${decided.size} traces are decided after ${decideWaitMs} ms`)
    }
    before = now
  }
}

/** Until the hot store has what was decided: every kept trace is then to be read whole. */
async function hotIsWritten(system: System): Promise<void> {
  const writers = system.names.filter(name => /^(up|writer)/.test(name))
  const untilMs = Date.now() + decideWaitMs
  for (;;) {
    const lag = await metricSum(
      system.running(writers[0] ?? '').metrics,
      'winnow_bus_lag_records{group="writer-hot"}',
    )
    if (lag === 0) return
    if (Date.now() > untilMs) throw new Error(`the hot store is ${lag} decisions behind`)
    await sleep(200)
  }
}
