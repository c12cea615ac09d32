import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '@winnow/testing'
import { accountOf, type Outcome } from './account.ts'
import { metricSum } from './metrics.ts'
import type { System } from './systems.ts'
import { SeededTraffic } from './traffic.ts'

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

  constructor(options: CrashRunOptions) {
    const { seed, system, tracesPerSecond = 140 } = options
    this.#options = options
    this.system = system
    this.#random = Random.of(seed, 0xdead)
    this.traffic = new SeededTraffic({ seed, tracesPerSecond, entrances: system.entrances })
    this.traffic.start()
  }

  /** Waits for more than a thousand open traces, kills, starts again, and waits until it does its work. */
  async kill(name: string, openMin = openTracesMin): Promise<Kill> {
    const openTraces = await this.manyOpen(openMin)
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

  /** Ends the traffic and holds the system to account; see {@link accountOf}. */
  async account(): Promise<Outcome> {
    const { seed, system, say } = this.#options
    const sent = await this.traffic.finish()
    const outcome = await accountOf(system, seed, sent, say)
    return { ...outcome, violations: [...this.violations, ...outcome.violations] }
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
