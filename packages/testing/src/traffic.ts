import { Random } from './random.ts'
import { Exporters, type TrafficRequest } from './traffic-exporters.ts'
import { planTraffic, type TrafficOptions, type TrafficPlan } from './traffic-options.ts'
import { Origins } from './traffic-origins.ts'
import { tellStory } from './traffic-story.ts'
import { buildTrace, type TraceTruth } from './traffic-trace.ts'
import type { TrafficEvaluation } from './traffic-verdicts.ts'

/** What happens next, told apart by `kind`: `trace`, `request`, `evaluation`. */
export type TrafficEvent = TraceTruth | TrafficRequest | TrafficEvaluation

export interface Traffic {
  /** By `atMs`. */
  readonly requests: readonly TrafficRequest[]
  /** By `atMs`. */
  readonly evaluations: readonly TrafficEvaluation[]
  /** By `startMs`. */
  readonly traces: readonly TraceTruth[]
}

/** The whole traffic in memory: some 8 spans a trace, a few KB each beside shared text. */
export function agentTraffic(options: TrafficOptions): Traffic {
  const requests: TrafficRequest[] = []
  const evaluations: TrafficEvaluation[] = []
  const traces: TraceTruth[] = []
  for (const event of trafficEvents(options)) {
    if (event.kind === 'request') requests.push(event)
    else if (event.kind === 'evaluation') evaluations.push(event)
    else traces.push(event)
  }
  return { requests, evaluations, traces }
}

/**
 * Agent traffic as it comes: requests and evaluations in order of `atMs`, a trace's truth before
 * any of them. Equal options give equal events, value for value; a trace's content depends on the
 * seed and its number alone. Holds only what is not sent yet, so a run may be of any length.
 * Throws CONFIG_INVALID for impossible options.
 */
export function* trafficEvents(options: TrafficOptions): Generator<TrafficEvent> {
  const plan = planTraffic(options)
  const exporters = new Exporters(plan)
  const origins = new Map(plan.tenants.map(tenant => [tenant, new Origins(tenant)]))
  const ids = new TraceIds(plan)
  let atMs = plan.startMs
  for (let index = 0; index < plan.traces; index++) {
    const random = Random.of(plan.seed, index)
    atMs += -Math.log(1 - random.unit()) * (1_000 / plan.tracesPerSecond)
    const startMs = Math.floor(atMs)
    yield* exporters.sendUntil(startMs)
    const tenant = random.pick(plan.tenants)
    const traceId = ids.next(random, tenant)
    const story = tellStory(random, plan, { tenant, startMs, ...traceId })
    const own = origins.get(tenant) ?? new Origins(tenant)
    const trace = buildTrace(random, plan, own, story)
    yield trace.truth
    exporters.take(trace, random)
    if (random.chance(plan.features.orphanEvaluations)) {
      exporters.tell(orphan(random, tenant, startMs))
    }
  }
  yield* exporters.sendUntil(Number.POSITIVE_INFINITY)
}

/** New trace ids, and now and then the one that another tenant used last: at most once by each. */
class TraceIds {
  readonly #rate: number
  #last: { readonly tenant: string; readonly traceId: string } | null = null

  constructor(plan: TrafficPlan) {
    this.#rate = plan.features.sharedTraceId
  }

  next(random: Random, tenant: string): { traceId: string; shared: boolean } {
    const traceId = random.hex(4)
    const last = this.#last
    // An id is shared once: its user after that would be the first one again.
    if (random.chance(this.#rate) && last !== null && last.tenant !== tenant) {
      this.#last = null
      return { traceId: last.traceId, shared: true }
    }
    this.#last = { tenant, traceId }
    return { traceId, shared: false }
  }
}

/** Somebody's verdict on a trace that never comes. */
function orphan(random: Random, tenant: string, startMs: number): TrafficEvaluation {
  return {
    kind: 'evaluation',
    tenant,
    atMs: startMs + 1,
    madeAtMs: startMs + 1,
    id: `ev-${random.hex(2)}`,
    traceId: random.hex(4),
    name: 'csat',
    score: 1,
    source: 'survey',
  }
}
