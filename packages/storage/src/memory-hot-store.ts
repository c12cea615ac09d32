import type { DecisionHead } from '@winnow/model'
import { factsHead } from './facts-only.ts'
import { bodiesOf, spansOf } from './hot-parts.ts'
import { dayOf, endOf, hourOf } from './hot-period.ts'
import { checkSearch, compareDecided, matchingRules, pageOf } from './hot-search.ts'
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
import { type HotVersion, isNewer } from './hot-version.ts'
import type { SpanPack } from './span-pack.ts'

interface Held extends HotVersion {
  readonly decision: DecisionHead
  readonly partition: number
}

interface Part extends HotVersion {
  readonly dayMs: number
  readonly hourMs: number
  readonly spans: SpanPack
  readonly bodies: readonly HotBody[]
}

/** The hot tier within one process, for tests. */
export class MemoryHotStore implements HotStore {
  readonly #life: HotLife
  /** By tenant and trace id, then by day: a later series of the trace may lie in another day. */
  readonly #traces = new Map<string, Map<number, Held>>()
  /** By tenant and trace id, then by what it is a part of. */
  readonly #parts = new Map<string, Map<string, Part>>()

  constructor(life: HotLife = defaultHotLife) {
    this.#life = life
  }

  async put(traces: readonly HotTrace[]): Promise<void> {
    for (const { decision, logId, partition, offset, spans, bodies } of traces) {
      const id = idOf(decision.tenant, decision.traceId)
      const day = dayOf(decision.seriesAtMs).startMs
      const version = { logId, offset, decidedAtMs: decision.decidedAtMs }
      const held = within(this.#traces, id)
      const last = held.get(day)
      if (last === undefined || isNewer(version, last)) {
        held.set(day, { ...version, decision: factsHead(decision), partition })
      }
      if (spans.count === 0 && bodies.length === 0) continue
      const parts = within(this.#parts, id)
      const part = `${day} ${logId} ${offset} ${bodies[0]?.ref} ${bodies.length} ${spans.count}`
      if (parts.has(part)) continue
      parts.set(part, {
        ...version,
        dayMs: day,
        hourMs: hourOf(decision.decidedAtMs).startMs,
        spans,
        bodies: bodies.map(({ ref, bytes }) => ({ ref, bytes: bytes.slice() })),
      })
    }
  }

  async get(tenant: string, traceId: string): Promise<HotTraceRead | undefined> {
    const id = idOf(tenant, traceId)
    const last = lastOf(this.#traces.get(id))
    if (last === undefined) return undefined
    const parts = [...(this.#parts.get(id)?.values() ?? [])]
    const { decision, partition, logId, offset } = last
    const bodies = bodiesOf(parts, part =>
      part.bodies.map(({ ref, bytes }) => ({ ref, bytes: bytes.slice() })),
    )
    return { decision, partition, logId, offset, spans: spansOf(parts), bodies }
  }

  async search(filter: TraceFilter): Promise<TracePage> {
    const after = checkSearch(filter)
    const found: DecisionHead[] = []
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
    for (const parts of this.#parts.values()) {
      remove(parts, part => dayGone(part.dayMs))
      for (const [id, part] of parts) {
        if (hourGone(part.hourMs)) parts.set(id, { ...part, bodies: [] })
      }
    }
    remove<string, { readonly size: number }>(this.#traces, entries => entries.size === 0)
    remove<string, { readonly size: number }>(this.#parts, entries => entries.size === 0)
  }

  /** What it would take on a disk: a memory store occupies none, yet the figure must move. */
  async bytes(): Promise<number> {
    let sum = 0
    for (const held of this.#traces.values()) {
      for (const { decision } of held.values()) sum += JSON.stringify(decision).length
    }
    for (const parts of this.#parts.values()) {
      for (const { spans, bodies } of parts.values()) {
        sum += spans.bytes.length
        for (const { bytes } of bodies) sum += bytes.length
      }
    }
    return sum
  }

  async close(): Promise<void> {}
}

function matches(decision: DecisionHead, filter: TraceFilter): boolean {
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
    if (last === undefined || isNewer(one, last)) last = one
  }
  return last
}

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
