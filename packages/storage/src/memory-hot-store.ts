import type { DecisionHead } from '@winnow/model'
import { factsHead } from './facts-only.ts'
import {
  countGathered,
  type Gathered,
  gather,
  type HeldTrace,
  type HotCensus,
  type HotFrontier,
  hotGroups,
  sortedHeld,
  withinFrontier,
} from './hot-census.ts'
import { bodiesOf, spansOf } from './hot-parts.ts'
import { dayOf, endOf, type HotPeriod, hourOf, periodName } from './hot-period.ts'
import { checkSearch, compareDecided, matchingRules, pageOf } from './hot-search.ts'
import {
  defaultHotLife,
  type ErasedFromHot,
  type HeldPeriod,
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
  readonly partition: number
  readonly spans: SpanPack
  readonly bodies: readonly HotBody[]
  /** Of the bodies, also once they have expired. */
  readonly bytes: number
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
        partition,
        bytes: bodies.reduce((sum, { bytes }) => sum + bytes.length, 0),
        spans,
        bodies: bodies.map(({ ref, bytes }) => ({ ref, bytes: bytes.slice() })),
      })
    }
  }

  async get(
    tenant: string,
    traceId: string,
    textFromMs?: number,
  ): Promise<HotTraceRead | undefined> {
    const id = idOf(tenant, traceId)
    const last = lastOf(this.#traces.get(id))
    if (last === undefined) return undefined
    const parts = [...(this.#parts.get(id)?.values() ?? [])]
    const { decision, partition, logId, offset } = last
    const copied = (part: (typeof parts)[number]): HotBody[] =>
      part.bodies.map(({ ref, bytes }) => ({ ref, bytes: bytes.slice() }))
    const bodies = bodiesOf(parts, copied, textFromMs)
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

  async periods(): Promise<HeldPeriod[]> {
    const held = new Map<string, HeldPeriod>()
    const add = (period: HotPeriod, bytes: number, oldestMs?: number): void => {
      const name = periodName(period)
      const before = held.get(name)
      const oldest = Math.min(oldestMs ?? Infinity, before?.oldestMs ?? Infinity)
      held.set(name, {
        name,
        period,
        ...(oldest < Infinity && { oldestMs: oldest }),
        bytes: bytes + (before?.bytes ?? 0),
      })
    }
    for (const days of this.#traces.values()) {
      for (const [day, { decision }] of days) {
        add(dayOf(day), JSON.stringify(decision).length, decision.seriesAtMs)
      }
    }
    for (const parts of this.#parts.values()) {
      for (const { hourMs, bodies } of parts.values()) {
        const bytes = bodies.reduce((sum, body) => sum + body.bytes.length, 0)
        if (bytes > 0) add(hourOf(hourMs), bytes)
      }
    }
    return [...held.values()]
  }

  async census(dayStartMs: number, frontier: HotFrontier): Promise<HotCensus> {
    const groups = hotGroups.map(group =>
      countGathered(this.#gathered(dayStartMs, group, frontier)),
    )
    return { groups, strays: 0 }
  }

  async held(dayStartMs: number, group: string, frontier: HotFrontier): Promise<HeldTrace[]> {
    return sortedHeld(this.#gathered(dayStartMs, group, frontier))
  }

  #gathered(dayStartMs: number, group: string, frontier: HotFrontier): Gathered[] {
    const isWithin = withinFrontier(frontier)
    const ids = new Set([...this.#traces.keys(), ...this.#parts.keys()])
    return [...ids].flatMap(id => {
      if (!id.startsWith(group)) return []
      const held = this.#traces.get(id)?.get(dayStartMs)
      const parts = [...(this.#parts.get(id)?.values() ?? [])].filter(
        part => part.dayMs === dayStartMs,
      )
      if (held === undefined && parts.length === 0) return []
      const [traceId, tenant] = splitId(id)
      const last = held && { ...held, revision: held.decision.revision }
      const read = parts.map(part => ({
        ...part,
        spanIds: () => part.spans.rows().map(row => row.span_id),
      }))
      return [gather({ tenant, traceId }, last, read, isWithin)]
    })
  }

  async erase(tenant: string, traceIds: readonly string[]): Promise<ErasedFromHot> {
    const erased = { traces: 0, rows: 0, bytes: 0 }
    for (const traceId of traceIds) {
      const id = idOf(tenant, traceId)
      if (this.#traces.delete(id)) erased.traces++
      for (const { spans, bodies } of this.#parts.get(id)?.values() ?? []) {
        erased.rows += spans.count
        erased.bytes += bodies.reduce((sum, { bytes }) => sum + bytes.length, spans.bytes.length)
      }
      this.#parts.delete(id)
    }
    return erased
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

function splitId(id: string): [traceId: string, tenant: string] {
  const at = id.indexOf('/')
  return [id.slice(0, at), id.slice(at + 1)]
}

function idOf(tenant: string, traceId: string): string {
  return `${traceId}/${tenant}`
}
