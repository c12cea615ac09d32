import { PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  dayOf,
  endOf,
  type HeldTrace,
  type HotCensus,
  type HotFrontier,
  type HotLife,
  type HotStore,
  heldTracesMax,
  hotGroups,
} from '@winnow/storage'
import type { FindingKind } from './audit.ts'
import {
  addTo,
  differences,
  type HotSums,
  isEven,
  type LedgerCount,
  noGroups,
  percentOf,
  sumDay,
  together,
} from './hot-sums.ts'
import { erasedTraces, type LedgerPart, type LedgerTrace, ledgerTraces } from './ledger-traces.ts'

const dayMs = 86_400_000

/** Traces that are compared one by one, where the counts of their group differ: so many are in memory. */
export const tracesComparedMax = 200_000

/** A day is not compared so shortly before it is dropped: it may be gone before it has been counted. */
export const expiryEdgeMs = 3_600_000

/** Beside what may be under way: how long the first decision of a new log may wait for the ledger. */
const firstSegmentMs = 3_600_000

export interface AuditedDay {
  readonly date: string
  /** What the ledger says must be there. */
  readonly ledger: HotSums
  /** What the store's own counts say. */
  readonly held: HotSums
  /** What the day's indices or files occupy, text apart. */
  readonly storeBytes: number
}

export interface HotReport {
  /** UTC days by which traces began, oldest first. */
  readonly days: readonly AuditedDay[]
  readonly ledger: HotSums
  readonly held: HotSums
  readonly differenceBytes: number
  readonly differencePercent: number
  /** What the indices or files of these days, and all text, occupy. */
  readonly storeBytes: number
  readonly textBytes: number
  /** Of these what is no byte of a slice; below 0 where the store packs them tighter than they came. */
  readonly overheadBytes: number
  /** Records of decisions, of the ledger's ranges, that hot's writer has yet to put, where that is known: not compared. */
  readonly behind: number
}

export interface AuditedHot {
  readonly store: HotStore
  readonly life: HotLife
  /** The decision from which on its writer has yet to put; undefined: not known, everything is expected. */
  readonly next?: ((log: Pick<LedgerPart, 'partition' | 'logId'>) => number | undefined) | undefined
}

export interface HotAuditOptions {
  readonly blobs: BlobStore
  readonly hot: HotStore
  /** Of the ledger, those of which all is written. */
  readonly parts: readonly LedgerPart[]
  /** Of every partition of a log that the ledger has, the record before its first: behind it what no part has. */
  readonly starts: HotFrontier['ends']
  readonly behind: number
  readonly hotLife: HotLife
  readonly ledgerLifeMs: number
  readonly underWayMs: number
  readonly nowMs: number
  readonly found: (kind: FindingKind, key: string, bytes: number, says: string) => void
  readonly onRead?: () => void
}

/** One of a day's groups, which does not agree by its counts. */
interface Differing {
  readonly dayStartMs: number
  readonly at: number
  readonly traces: Map<string, LedgerTrace>
}

/**
 * Puts what the ledger says must be in the hot store beside the store's own counts, day by day, in 256 groups
 * of traces each. Where a group's counts differ its traces are read on both sides and named. What either has
 * behind the ledger's last segment is under way, and counted by neither.
 */
export async function auditHot(options: HotAuditOptions): Promise<HotReport> {
  return new HotAudit(options).run()
}

/** From which UTC day on the ledger's segments say something of what hot must hold. */
export function firstHotDate({ hotLife, nowMs }: Pick<HotAuditOptions, 'hotLife' | 'nowMs'>) {
  // A segment has the date of its first record, and the day's own may begin within it.
  return dateText(nowMs - hotLife.tracesMs - 2 * dayMs)
}

class HotAudit {
  readonly #options: HotAuditOptions
  readonly #frontier: HotFrontier
  readonly #ledger = new Map<number, LedgerCount[]>()
  readonly #days: number[]
  readonly #damaged = new Set<string>()
  #erased: ReadonlySet<string> = new Set()

  constructor(options: HotAuditOptions) {
    this.#options = options
    const { parts, starts, hotLife, ledgerLifeMs, underWayMs, nowMs } = options
    const ends = new Map(starts.map(one => [`${one.partition} ${one.logId}`, one]))
    for (const { partition, logId, b: offset } of parts) {
      const place = `${partition} ${logId}`
      const last = ends.get(place)?.offset ?? -1
      if (offset > last) ends.set(place, { logId, partition, offset })
    }
    const beforeMs = nowMs - underWayMs - firstSegmentMs
    this.#frontier = { ends: [...ends.values()], beforeMs }
    this.#days = []
    for (let day = dayOf(nowMs); ; day = dayOf(day.startMs - 1)) {
      const isExpiring = endOf(day) + hotLife.tracesMs <= nowMs + expiryEdgeMs
      if (isExpiring || endOf(day) + ledgerLifeMs <= nowMs + dayMs) break
      this.#days.unshift(day.startMs)
    }
  }

  async run(): Promise<HotReport> {
    const { blobs, parts } = this.#options
    this.#erased = await erasedTraces(blobs, parts, this.#onDamaged)
    for await (const trace of this.#traces()) addTo(this.#countOf(trace), trace)
    const days: AuditedDay[] = []
    const census = new Map<number, HotCensus>()
    const differing: Differing[] = []
    for (const dayStartMs of this.#days) {
      const counted = await this.#orDamaged(`hot/${dateText(dayStartMs)}`, () =>
        this.#options.hot.census(dayStartMs, this.#frontier),
      )
      if (counted === undefined) continue
      census.set(dayStartMs, counted)
      differing.push(...this.#differing(dayStartMs, counted))
    }
    const compared = this.#choose(differing, census)
    await this.#readTraces(compared)
    const deltas = new Map<string, HotSums>()
    for (const one of compared) deltas.set(placeOf(one), await this.#compare(one))
    const { storeBytes, textBytes } = await this.#occupied()
    for (const dayStartMs of this.#days) {
      const ledger = this.#ledger.get(dayStartMs) ?? noGroups()
      const { groups } = census.get(dayStartMs) ?? { groups: [] }
      const sums = sumDay(ledger, groups, at => deltas.get(placeOf({ dayStartMs, at })))
      const bytes = storeBytes.get(dayStartMs) ?? 0
      if (sums.ledger.traces + sums.held.traces + bytes === 0) continue
      days.push({ date: dateText(dayStartMs), ...sums, storeBytes: bytes })
    }
    return reportOf(days, textBytes, this.#options.behind)
  }

  async *#traces(): AsyncGenerator<LedgerTrace> {
    const { blobs, parts, onRead } = this.#options
    const days = new Set(this.#days)
    for await (const trace of ledgerTraces(blobs, parts, onRead ?? (() => {}), this.#onDamaged)) {
      if (!trace.isStored || !days.has(trace.dayStartMs)) continue
      if (!this.#erased.has(keyOf(trace))) yield trace
    }
  }

  /** A segment may be read three times; said once. */
  readonly #onDamaged = (key: string, says: string): void => {
    if (!this.#damaged.has(key)) this.#options.found('damaged', key, 0, says)
    this.#damaged.add(key)
  }

  #countOf({ dayStartMs, traceId }: LedgerTrace): LedgerCount {
    const groups = this.#ledger.get(dayStartMs) ?? noGroups()
    this.#ledger.set(dayStartMs, groups)
    return groups[groupOf(traceId)] as LedgerCount
  }

  #differing(dayStartMs: number, { groups, strays }: HotCensus): Differing[] {
    const name = `hot/${dateText(dayStartMs)}`
    if (strays > 0) {
      const says = `${strays} documents have no trace id`
      this.#options.found('foreign', name, 0, says)
    }
    const ledger = this.#ledger.get(dayStartMs) ?? noGroups()
    const traces = ledger.reduce((sum, one) => sum + one.traces, 0)
    const isEmpty = groups.every(one => one.traces + one.later + one.spans === 0)
    if (traces > 0 && isEmpty) {
      this.#options.found('missing', name, 0, `the ledger keeps ${traces} traces of this day`)
      return []
    }
    return groups.flatMap((held, at) =>
      isEven(ledger[at] as LedgerCount, held) ? [] : [{ dayStartMs, at, traces: new Map() }],
    )
  }

  /** As many as fit into memory; of the others it is said that they differ. */
  #choose(all: readonly Differing[], census: ReadonlyMap<number, HotCensus>): Differing[] {
    const chosen: Differing[] = []
    const left = new Map<number, number>()
    let traces = 0
    for (const one of all) {
      const { dayStartMs, at } = one
      const ledger = this.#ledger.get(dayStartMs)?.[at]?.traces ?? 0
      const held = census.get(dayStartMs)?.groups[at]?.traces ?? 0
      traces += Math.max(ledger, held)
      if (traces <= tracesComparedMax) chosen.push(one)
      else left.set(dayStartMs, (left.get(dayStartMs) ?? 0) + 1)
    }
    for (const [dayStartMs, groups] of left) {
      const says = `in ${groups} of ${hotGroups.length} groups the counts differ, of more traces than are compared at once`
      this.#options.found('differing', `hot/${dateText(dayStartMs)}`, 0, says)
    }
    return chosen
  }

  async #readTraces(compared: readonly Differing[]): Promise<void> {
    if (compared.length === 0) return
    const byPlace = new Map(compared.map(one => [placeOf(one), one]))
    for await (const trace of this.#traces()) {
      const { dayStartMs, traceId } = trace
      const traces = byPlace.get(placeOf({ dayStartMs, at: groupOf(traceId) }))?.traces
      const other = traces?.get(keyOf(trace))
      traces?.set(keyOf(trace), other === undefined ? trace : together(other, trace))
    }
  }

  /** What hot has more, or less, than the ledger says, each trace by its name. */
  async #compare({ dayStartMs, at, traces }: Differing): Promise<HotSums> {
    const group = hotGroups[at] as string
    const list = await this.#options.hot.held(dayStartMs, group, this.#frontier)
    const delta = { traces: 0, spans: 0, bytes: 0 }
    const differ = (one: Pick<HeldTrace, 'tenant' | 'traceId'>, kind: FindingKind, says: string) =>
      this.#options.found(kind, `hot/${dateText(dayStartMs)}/${one.tenant}/${one.traceId}`, 0, says)
    if (list.length === heldTracesMax) {
      const says = `group ${group} has ${heldTracesMax} traces or more: they are not compared`
      this.#options.found('differing', `hot/${dateText(dayStartMs)}`, 0, says)
      return delta
    }
    const held = new Map(list.map(one => [keyOf(one), one]))
    for (const [key, said] of traces) {
      const one = held.get(key)
      if (one?.isFound !== true) {
        differ(
          said,
          'missing',
          `the ledger keeps it with ${said.spans} spans, hot has no such trace`,
        )
        delta.traces--
        delta.spans -= said.spans - (one?.spans ?? 0)
        delta.bytes -= said.bytes - (one?.bytes ?? 0)
        continue
      }
      const [spans, bytes] = differences(said, one)
      if (spans === 0 && bytes === 0) continue
      delta.spans += spans
      delta.bytes += bytes
      const has = `it has ${one.spans} spans of ${one.bytes} bytes`
      differ(said, 'damaged', `${has}, the ledger says ${said.spans} of ${said.bytes}`)
    }
    for (const one of list) {
      if (traces.has(keyOf(one)) || !one.isWithin) continue
      const isErased = this.#erased.has(keyOf(one))
      differ(one, 'orphan', isErased ? 'it has been erased' : 'the ledger does not keep it')
      delta.traces += Number(one.isFound)
      delta.spans += one.spans
      delta.bytes += one.bytes
    }
    return delta
  }

  /** Undefined where a file of the store is damaged: what it had is not known. */
  async #orDamaged<T>(key: string | undefined, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code !== 'DATA_CORRUPT') throw error
      const says = error.message.replace(/^\[\w+\] /, '')
      if (key !== undefined) this.#options.found('damaged', key, 0, says)
      return undefined
    }
  }

  async #occupied() {
    const storeBytes = new Map<number, number>()
    let textBytes = 0
    // What is damaged has been named by its day.
    const periods = await this.#orDamaged(undefined, () => this.#options.hot.periods())
    for (const { name, period, bytes } of periods ?? []) {
      if (period === undefined) {
        this.#options.found('foreign', `hot/${name}`, bytes, 'no hot store gives such a name')
      } else if (period.kind === 'text') textBytes += bytes
      else storeBytes.set(period.startMs, (storeBytes.get(period.startMs) ?? 0) + bytes)
    }
    return { storeBytes, textBytes }
  }
}

function reportOf(days: readonly AuditedDay[], textBytes: number, behind: number): HotReport {
  const sum = (of: (day: AuditedDay) => HotSums): HotSums => ({
    traces: days.reduce((total, day) => total + of(day).traces, 0),
    spans: days.reduce((total, day) => total + of(day).spans, 0),
    bytes: days.reduce((total, day) => total + of(day).bytes, 0),
  })
  const ledger = sum(day => day.ledger)
  const held = sum(day => day.held)
  const storeBytes = days.reduce((total, day) => total + day.storeBytes, 0)
  const differenceBytes = held.bytes - ledger.bytes
  return {
    days,
    ledger,
    held,
    differenceBytes,
    differencePercent: percentOf(differenceBytes, ledger.bytes),
    storeBytes,
    textBytes,
    overheadBytes: storeBytes + textBytes - held.bytes,
    behind,
  }
}

function groupOf(traceId: string): number {
  return Number.parseInt(traceId.slice(0, 2), 16)
}

function placeOf({ dayStartMs, at }: Pick<Differing, 'dayStartMs' | 'at'>): string {
  return `${dayStartMs} ${at}`
}

function keyOf({ tenant, traceId }: Pick<HeldTrace, 'tenant' | 'traceId'>): string {
  return `${traceId} ${tenant}`
}

function dateText(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}
