import type { Decision } from '@winnow/model'
import { factsOnly } from './facts-only.ts'
import { dayOf, endOf, hourOf } from './hot-period.ts'
import { checkSearch, compareDecided, compareRefKeys, matchingRules, pageOf } from './hot-search.ts'
import {
  defaultHotLife,
  type HotBody,
  type HotLife,
  type HotStore,
  type HotTrace,
  type HotTraceRead,
  type TraceFilter,
  type TracePage,
} from './hot-store.ts'
import type { SpanRow } from './span-row.ts'

interface Held {
  readonly decision: Decision
  readonly partition: number
  readonly offset: number
}

/** The hot tier within one process, for tests. */
export class MemoryHotStore implements HotStore {
  readonly #life: HotLife
  /** By tenant and trace id, then by day: a later series of the trace may lie in another day. */
  readonly #traces = new Map<string, Map<number, Held>>()
  readonly #spans = new Map<string, Map<string, { row: SpanRow; dayMs: number }>>()
  readonly #bodies = new Map<string, Map<string, { body: HotBody; hourMs: number }>>()

  constructor(life: HotLife = defaultHotLife) {
    this.#life = life
  }

  async put(traces: readonly HotTrace[]): Promise<void> {
    for (const trace of traces) {
      const { decision, partition, offset } = trace
      const id = idOf(decision.tenant, decision.traceId)
      const day = dayOf(decision.seriesAtMs).startMs
      const held = within(this.#traces, id)
      if ((held.get(day)?.offset ?? -1) <= offset)
        held.set(day, { decision: factsOnly(decision), partition, offset })
      const spans = within(this.#spans, id)
      for (const row of trace.spans.rows()) {
        const before = spans.get(row.span_id)?.row.sampling_offset ?? -1n
        if (before <= row.sampling_offset) spans.set(row.span_id, { row, dayMs: day })
      }
      const bodies = within(this.#bodies, id)
      const hour = hourOf(decision.decidedAtMs).startMs
      for (const { ref, bytes } of trace.bodies) {
        const latest = Math.max(hour, bodies.get(ref)?.hourMs ?? hour)
        bodies.set(ref, { body: { ref, bytes: bytes.slice() }, hourMs: latest })
      }
    }
  }

  async get(tenant: string, traceId: string): Promise<HotTraceRead | undefined> {
    const id = idOf(tenant, traceId)
    const last = lastOf(this.#traces.get(id))
    if (last === undefined) return undefined
    const spans = [...(this.#spans.get(id)?.values() ?? [])].map(({ row }) => row)
    const bodies = [...(this.#bodies.get(id)?.values() ?? [])].map(({ body }) => body)
    return {
      ...last,
      spans: spans.sort(compareSpans),
      bodies: bodies
        .map(({ ref, bytes }) => ({ ref, bytes: bytes.slice() }))
        .sort((a, b) => compareRefKeys(a.ref, b.ref)),
    }
  }

  async search(filter: TraceFilter): Promise<TracePage> {
    const after = checkSearch(filter)
    const found: Decision[] = []
    for (const held of this.#traces.values()) {
      const decision = lastOf(held)?.decision
      if (decision !== undefined && matches(decision, filter)) found.push(decision)
    }
    const rest = found
      .sort(compareDecided)
      .filter(decision => after === undefined || compareDecided(after, decision) < 0)
    return pageOf(rest.slice(0, filter.limit + 1), filter.limit)
  }

  async expire(nowMs: number): Promise<void> {
    const dayGone = (day: number): boolean => endOf(dayOf(day)) + this.#life.tracesMs <= nowMs
    const hourGone = (hour: number): boolean => endOf(hourOf(hour)) + this.#life.textMs <= nowMs
    for (const held of this.#traces.values()) remove(held, (_, day) => dayGone(day))
    for (const spans of this.#spans.values()) remove(spans, span => dayGone(span.dayMs))
    for (const bodies of this.#bodies.values()) remove(bodies, body => hourGone(body.hourMs))
    for (const byId of [this.#traces, this.#spans, this.#bodies]) {
      remove<string, { readonly size: number }>(byId, entries => entries.size === 0)
    }
  }

  /** What it would take as text: a memory store occupies no disk, yet the figure must move. */
  async bytes(): Promise<number> {
    let bytes = 0
    for (const held of this.#traces.values()) {
      for (const { decision } of held.values()) bytes += JSON.stringify(decision).length
    }
    for (const spans of this.#spans.values()) {
      for (const { row } of spans.values()) bytes += row.attributes.length + row.events.length
    }
    for (const bodies of this.#bodies.values()) {
      for (const { body } of bodies.values()) bytes += body.bytes.length
    }
    return bytes
  }

  async close(): Promise<void> {}
}

/** By start time, then by span id. */
export function compareSpans(a: SpanRow, b: SpanRow): number {
  if (a.start_time_unix_nano !== b.start_time_unix_nano) {
    return a.start_time_unix_nano < b.start_time_unix_nano ? -1 : 1
  }
  return a.span_id < b.span_id ? -1 : 1
}

function matches(decision: Decision, filter: TraceFilter): boolean {
  const { sinceMs, untilMs, rule, service, variant, minDurationMs } = filter
  return (
    decision.tenant === filter.tenant &&
    (sinceMs === undefined || decision.decidedAtMs >= sinceMs) &&
    (untilMs === undefined || decision.decidedAtMs < untilMs) &&
    (rule === undefined || matchingRules(decision).includes(rule)) &&
    (service === undefined || decision.service === service) &&
    (variant === undefined || decision.variant === variant) &&
    (minDurationMs === undefined ||
      (decision.durationMs !== null && decision.durationMs >= minDurationMs))
  )
}

function lastOf(held: ReadonlyMap<number, Held> | undefined): Held | undefined {
  let last: Held | undefined
  for (const one of held?.values() ?? []) {
    if (last === undefined || one.offset > last.offset) last = one
  }
  return last
}

function within<V>(outer: Map<string, Map<string, V>>, id: string): Map<string, V>
function within<V>(outer: Map<string, Map<number, V>>, id: string): Map<number, V>
function within<K, V>(outer: Map<string, Map<K, V>>, id: string): Map<K, V> {
  const inner = outer.get(id) ?? new Map<K, V>()
  outer.set(id, inner)
  return inner
}

function remove<K, V>(map: Map<K, V>, gone: (value: V, key: K) => boolean): void {
  for (const [key, value] of map) if (gone(value, key)) map.delete(key)
}

function idOf(tenant: string, traceId: string): string {
  return `${traceId}/${tenant}`
}
