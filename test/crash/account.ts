import { setTimeout as sleep } from 'node:timers/promises'
import type { LedgerReport, SamplingReport } from '@winnow/query'
import { defaultOraclePolicy, sentSpans, traceKey } from '@winnow/testing'
import { type ComparedRun, compareWithOracle } from '../support/agreement.ts'
import { keyOf, tenants } from '../support/pipeline-harness.ts'
import { TenantApi } from '../support/tenant-api.ts'
import { type Balance, balanceOf } from './balance.ts'
import { metricSum } from './metrics.ts'
import type { System } from './systems.ts'
import type { Acknowledged } from './traffic.ts'

export interface Outcome extends Balance {
  readonly kept: number
  readonly dropped: number
}

/**
 * Waits until everything that was acknowledged is decided, compares each answer of the API with the
 * oracle's, asks `verify`, ends the processes by SIGTERM, and checks the topics and the store.
 */
export async function accountOf(
  system: System,
  seed: number,
  sent: Acknowledged,
  say: (line: string) => void = () => {},
): Promise<Outcome> {
  say(`${sent.requests.length} requests acknowledged`)
  const run = comparedRun(seed, system, sent)
  try {
    await allDecided(run)
    await hotIsWritten(system)
    say('everything is decided; asking for each trace')
    const { kept, dropped, disagreements } = await compareWithOracle(run)
    const unverified = await verify(run)
    const codes = await system.stop()
    say('stopped; reading the topics and the store')
    const { figures, violations } = await balanceOf(system, sent)
    const badCodes = Object.entries(codes)
      .filter(([, code]) => code !== 0)
      .map(([name, code]) => `${name} ended with ${code} on SIGTERM`)
    return {
      figures,
      kept,
      dropped,
      violations: [...disagreements, ...unverified, ...violations, ...badCodes],
    }
  } finally {
    for (const api of run.apis.values()) api.close()
  }
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
