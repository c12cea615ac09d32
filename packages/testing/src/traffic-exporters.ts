import type { TracesData } from '@winnow/otlp'
import { TimeHeap } from './heap.ts'
import { Random } from './random.ts'
import type { ReadySpan } from './traffic-draft.ts'
import type { TrafficPlan } from './traffic-options.ts'
import { requestOf } from './traffic-origins.ts'
import type { BuiltTrace } from './traffic-trace.ts'
import type { TrafficEvaluation } from './traffic-verdicts.ts'

/** One export request, as a client sends it. */
export interface TrafficRequest {
  readonly kind: 'request'
  readonly tenant: string
  /** When the client sends it, Unix milliseconds; after the end of every span in it. */
  readonly atMs: number
  readonly data: TracesData
}

interface Batch {
  readonly kind: 'batch'
  readonly key: string
  readonly tenant: string
  readonly spans: ReadySpan[]
}

/**
 * The exporters of all services: each gathers what is ready and sends it every `flushMs`, in phases
 * of its own. So one trace's spans lie in several requests, among those of other traces, and a child
 * may come before or after its parent. A span that shall come twice is sent again by a relay, which
 * mixes the services of a tenant in one request.
 *
 *     trace ──▶ spans, each ready at its end ──▶ batch of (tenant, service, window) ──▶ requests
 *                                                                   └──▶ relay ──▶ again, once
 */
export class Exporters {
  readonly #plan: TrafficPlan
  readonly #due = new TimeHeap<Batch | TrafficRequest | TrafficEvaluation>()
  readonly #open = new Map<string, Batch>()
  /** Spans to be sent again, once. */
  readonly #twice = new Set<ReadySpan>()
  #sent = 0

  constructor(plan: TrafficPlan) {
    this.#plan = plan
  }

  take(trace: BuiltTrace, random: Random): void {
    const { tenant, features } = trace.truth
    for (const span of trace.spans) this.#gather(tenant, span.service, span, span.readyMs)
    if (features.includes('duplicates')) {
      const count = random.int(1, trace.spans.length)
      for (const span of random.shuffled(trace.spans).slice(0, count)) this.#twice.add(span)
    }
    for (const evaluation of trace.evaluations) this.tell(evaluation)
  }

  tell(evaluation: TrafficEvaluation): void {
    this.#due.push(evaluation.atMs, evaluation)
  }

  /** What is sent until then, in order of time. Nothing may be taken later that is ready before. */
  *sendUntil(untilMs: number): Generator<TrafficRequest | TrafficEvaluation> {
    for (;;) {
      const next = this.#due.takeDue(untilMs)
      if (next === undefined) return
      if (next.value.kind === 'batch') yield* this.#send(next.atMs, next.value)
      else yield next.value
    }
  }

  #gather(tenant: string, exporter: string, span: ReadySpan, readyMs: number): void {
    const { flushMs } = this.#plan
    const phaseMs = phaseOf(`${tenant} ${exporter}`, flushMs)
    const window = Math.floor((readyMs - phaseMs) / flushMs) + 1
    const key = `${tenant} ${exporter} ${window}`
    let batch = this.#open.get(key)
    if (batch === undefined) {
      batch = { kind: 'batch', key, tenant, spans: [] }
      this.#open.set(key, batch)
      this.#due.push(Math.ceil(phaseMs + window * flushMs), batch)
    }
    batch.spans.push(span)
  }

  *#send(atMs: number, batch: Batch): Generator<TrafficRequest> {
    const { requestSpansMax, flushMs, features, seed } = this.#plan
    this.#open.delete(batch.key)
    const random = Random.of(seed ^ 0x5bd1e995, this.#sent++)
    const spans = random.shuffled(batch.spans)
    for (let from = 0; from < spans.length; from += requestSpansMax) {
      const data = requestOf(spans.slice(from, from + requestSpansMax))
      const request: TrafficRequest = { kind: 'request', tenant: batch.tenant, atMs, data }
      yield request
      if (random.chance(features.repeatedRequests)) {
        const againMs = atMs + random.int(1, 3 * flushMs)
        this.#due.push(againMs, { ...request, atMs: againMs })
      }
    }
    for (const span of spans) {
      if (!this.#twice.delete(span)) continue
      // Soon, or long after the trace was decided.
      const afterMs = flushMs * random.pick([1, 1, 2, 12])
      this.#gather(batch.tenant, 'relay', span, atMs + afterMs)
    }
  }
}

/** Exporters do not tick together: a fixed part of the interval each, by FNV-1a of the name. */
function phaseOf(name: string, flushMs: number): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < name.length; at++) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  }
  return (hash >>> 0) % Math.max(1, Math.floor(flushMs))
}
