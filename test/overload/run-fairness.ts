// A steady tenant alone, then the same beside one that floods: what it keeps and how long it waits.
import type { LedgerReport, Why } from '@winnow/query'
import type { Driven } from '../support/load/generator.ts'
import { startGenerator } from '../support/load/generator-process.ts'
import { mapWide, type TenantApi } from '../support/tenant-api.ts'
import { DecisionProbe, type Delay } from './decision-probe.ts'
import { imbalance, keyOf, SmallSystem } from './small-system.ts'
import { type SentTrace, SteadyTenant } from './steady-tenant.ts'

export interface FairnessOptions {
  readonly seed: number
  /** Of the steady tenant, spans a second. */
  readonly rate: number
  /** How long it sends alone, and then beside the flood. */
  readonly seconds: number
  /** Of one core, where the machine allows it. */
  readonly cpuShare: number
  readonly say: (line: string) => void
}

export interface FairnessResult {
  readonly alone: Delay
  readonly beside: Delay
  /** Ids whose verdict is not the oracle's, with what was answered. */
  readonly wrong: readonly string[]
  readonly kept: number
  /** Refusals that the steady tenant met and came back from, and requests that were never taken. */
  readonly refusals: number
  readonly lost: number
  readonly acknowledged: Readonly<Record<Tenant, number>>
  readonly ledger: Readonly<Record<Tenant, LedgerReport>>
  readonly flood: Driven
  readonly rssMiB: readonly number[]
  readonly exitCode: number | null
}

type Tenant = 'steady' | 'flood'

const floodConnections = 64
/** Code that has not run yet is slow. */
const warmUpSpans = 50_000

export async function runFairness(options: FairnessOptions): Promise<FairnessResult> {
  const { seed, rate, seconds, cpuShare, say } = options
  const system = await SmallSystem.start(['steady', 'flood'])
  const generator = startGenerator()
  const { otlpHttp: address } = system.winnow
  const steady = new SteadyTenant({ address, tenant: 'steady', key: keyOf('steady'), seed, rate })
  try {
    const flooding = { address, key: keyOf('flood') }
    const warm = await generator.drive({ ...flooding, connections: 4, spans: warmUpSpans })
    await system.settled()
    system.limit(cpuShare)
    say(`${rate} spans/s of one tenant alone for ${seconds} s`)
    const alone = await watched(system, probe => steady.send(seconds, probe))
    say(`the same beside ${floodConnections} connections that do not wait`)
    system.watchMemory()
    const all = { connections: floodConnections, impatient: true, spans: floodSpansMax }
    const [beside, flood] = await Promise.all([
      watched(system, probe => steady.send(seconds, probe)),
      generator.drive({ ...flooding, ...all, seconds }),
    ])
    const rssMiB = system.watchedMiB()
    system.unlimit()
    say('waiting until everything is decided and written …')
    await system.settled()
    const told = await whyOf(system, [...alone.sent, ...beside.sent])
    const mustKeep = steady.mustKeep()
    const ledger = {
      steady: await system.verify('steady'),
      flood: await system.verify('flood'),
    }
    return {
      alone: alone.delay,
      beside: beside.delay,
      wrong: mistakes(told, mustKeep),
      kept: mustKeep.size,
      refusals: steady.refusals,
      lost: steady.lost,
      acknowledged: { steady: steady.spans, flood: warm.spans + flood.spans },
      ledger,
      flood,
      rssMiB,
      exitCode: await system.winnow.stop(),
    }
  } finally {
    steady.close()
    generator.stop()
    await system.end()
  }
}

/** What was sent, with the delay of some of it. */
function watched(
  system: SmallSystem,
  send: (probe: DecisionProbe) => Promise<readonly SentTrace[]>,
): Promise<{ readonly sent: readonly SentTrace[]; readonly delay: Delay }> {
  return system.ask('steady', async (api: TenantApi) => {
    const probe = new DecisionProbe(api)
    const sent = await send(probe)
    return { sent, delay: await probe.delay() }
  })
}

/** More than can be sent: time ends the flood. */
const floodSpansMax = 20_000_000

/** What the result contradicts, delays aside; empty where it holds. */
export function unfairness(result: FairnessResult): string[] {
  const { wrong, lost, acknowledged, ledger, flood, exitCode } = result
  const found = wrong.slice(0, 10)
  if (lost > 0) found.push(`${lost} requests of the steady tenant were never taken`)
  found.push(...imbalance('steady', ledger.steady), ...imbalance('flood', ledger.flood))
  for (const tenant of ['steady', 'flood'] as const) {
    const missing = acknowledged[tenant] - ledger[tenant].received
    if (missing > 0) found.push(`${missing} acknowledged spans of ${tenant} never came`)
  }
  return [
    ...found,
    ...refusalMistakes(flood),
    ...(exitCode === 0 ? [] : [`ended with ${exitCode}`]),
  ]
}

/** A flood is refused, with 429 or 503 alone, and each time with when to come again. */
export function refusalMistakes({ refused, refusedWithoutWhen }: Driven): string[] {
  const found: string[] = []
  const strange = Object.keys(refused).filter(status => !['429', '503'].includes(status))
  if (Object.keys(refused).length === 0) found.push('nothing was refused: that was no overload')
  if (strange.length > 0) found.push(`answers other than 200, 429 and 503: ${strange.join(', ')}`)
  if (refusedWithoutWhen > 0) {
    found.push(`${refusedWithoutWhen} refusals did not say when to come again`)
  }
  return found
}

async function whyOf(
  system: SmallSystem,
  traces: readonly SentTrace[],
): Promise<ReadonlyMap<string, Why>> {
  const found = await system.ask('steady', api =>
    mapWide(traces, ({ traceId }) => api.read<Why>(`/api/v1/traces/${traceId}/why`)),
  )
  return new Map(found.map(why => [why.traceId, why]))
}

function mistakes(told: ReadonlyMap<string, Why>, mustKeep: ReadonlySet<string>): string[] {
  return [...told.values()]
    .filter(({ traceId, state }) => state !== (mustKeep.has(traceId) ? 'kept' : 'dropped'))
    .map(({ traceId, state, primary }) => `${traceId} is ${state} (${primary})`)
}
