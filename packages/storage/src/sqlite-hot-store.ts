import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Decision } from '@winnow/model'
import { dayOf, endOf, type HotPeriod, hourOf, parsePeriod, periodName } from './hot-period.ts'
import {
  checkSearch,
  compareDecided,
  compareRefKeys,
  pageOf,
  type SearchPosition,
} from './hot-search.ts'
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
import { compareSpans } from './memory-hot-store.ts'
import type { DatabaseSync } from './node-sqlite.ts'
import type { SpanRow } from './span-row.ts'
import { fileNumber, hotError, openHotFile } from './sqlite-file.ts'
import { SqliteText, textSchema } from './sqlite-text.ts'
import { SqliteTraces, tracesSchema } from './sqlite-traces.ts'

/** Files held open at once: 9 days and 26 hours are in use; what strays further is opened anew. */
export const hotFilesOpenMax = 64

interface Opened<T> {
  readonly file: T
  readonly number: number | undefined
}

/**
 * The hot tier as SQLite files in one folder, a UTC day of traces or a UTC hour of text each:
 *
 *   traces-2026-11-21.sqlite   trace rows, span rows at structured level
 *   text-2026-11-21T07.sqlite  the bytes of what was decided in that hour
 *
 * Expiry removes files, so it costs the same for a thousand rows as for a billion and gives the
 * space back. Everything in it is synchronous: run it in a worker. Any number of processes may read
 * beside one that writes.
 */
export class SqliteHotStore implements HotStore {
  readonly #folder: string
  readonly #life: HotLife
  readonly #traces = new Map<number, Opened<SqliteTraces>>()
  readonly #texts = new Map<number, Opened<SqliteText>>()

  /** Makes the folder where it is missing; files only as something is put. */
  constructor(folder: string, life: HotLife = defaultHotLife) {
    this.#folder = folder
    this.#life = life
    attempt(`opening the hot store in ${folder}`, () => mkdirSync(folder, { recursive: true }))
  }

  async put(traces: readonly HotTrace[]): Promise<void> {
    attempt('writing to the hot store', () => {
      // Text first: a trace row promises it.
      for (const [period, group] of byPeriod(traces, trace => hourOf(trace.decision.decidedAtMs))) {
        const withText = group.filter(trace => trace.bodies.length > 0)
        if (withText.length > 0) this.#text(period, true)?.put(withText)
      }
      for (const [period, group] of byPeriod(traces, trace => dayOf(trace.decision.seriesAtMs))) {
        this.#day(period, true)?.put(group)
      }
    })
  }

  async get(tenant: string, traceId: string): Promise<HotTraceRead | undefined> {
    return attempt('reading the hot store', () => {
      let last: ReturnType<SqliteTraces['trace']>
      const spans = new Map<string, SpanRow>()
      for (const period of this.#periods('traces')) {
        const day = this.#day(period, false)
        const found = day?.trace(tenant, traceId)
        if (found !== undefined && found.offset > (last?.offset ?? -1)) last = found
        for (const row of day?.spans(tenant, traceId) ?? []) {
          const before = spans.get(row.span_id)?.sampling_offset ?? -1n
          if (before <= row.sampling_offset) spans.set(row.span_id, row)
        }
      }
      if (last === undefined) return undefined
      const bodies = new Map<string, HotBody>()
      for (const period of this.#periods('text')) {
        const found = this.#text(period, false)?.bodies(tenant, traceId) ?? []
        for (const body of found) bodies.set(body.ref, body)
      }
      return {
        ...last,
        spans: [...spans.values()].sort(compareSpans),
        bodies: [...bodies.values()].sort((a, b) => compareRefKeys(a.ref, b.ref)),
      }
    })
  }

  async search(filter: TraceFilter): Promise<TracePage> {
    const position = checkSearch(filter)
    return attempt('searching the hot store', () => {
      const wanted = filter.limit + 1
      const days = this.#periods('traces')
      const found = days.flatMap(day => this.#searchDay(day, days, filter, position, wanted))
      return pageOf(found.sort(compareDecided).slice(0, wanted), filter.limit)
    })
  }

  async expire(nowMs: number): Promise<void> {
    attempt('expiring from the hot store', () => {
      for (const { name, period } of this.#files()) {
        const life = period.kind === 'traces' ? this.#life.tracesMs : this.#life.textMs
        if (endOf(period) + life > nowMs) continue
        const opened = period.kind === 'traces' ? this.#traces : this.#texts
        opened.get(period.startMs)?.file.close()
        opened.delete(period.startMs)
        rmSync(join(this.#folder, name), { force: true })
      }
    })
  }

  async bytes(): Promise<number> {
    return attempt('measuring the hot store', () => {
      let bytes = 0
      for (const { name } of this.#files()) {
        bytes += statSync(join(this.#folder, name), { throwIfNoEntry: false })?.size ?? 0
      }
      return bytes
    })
  }

  async close(): Promise<void> {
    for (const { file } of [...this.#traces.values(), ...this.#texts.values()]) file.close()
    this.#traces.clear()
    this.#texts.clear()
  }

  /** A day's matches whose trace has no later decision in another day, up to `wanted`. */
  #searchDay(
    day: HotPeriod,
    days: readonly HotPeriod[],
    filter: TraceFilter,
    position: SearchPosition | undefined,
    wanted: number,
  ): Decision[] {
    const found: Decision[] = []
    let after = position
    for (;;) {
      const rows = this.#day(day, false)?.search(filter, after, wanted) ?? []
      for (const { decision, offset } of rows) {
        const { tenant, traceId } = decision
        const isLast = days.every(
          other =>
            other === day || (this.#day(other, false)?.offset(tenant, traceId) ?? -1) < offset,
        )
        if (isLast) found.push(decision)
      }
      after = rows.at(-1)?.decision
      if (rows.length < wanted || found.length >= wanted) return found
    }
  }

  #day(period: HotPeriod, create: boolean): SqliteTraces | undefined {
    return this.#open(this.#traces, period, tracesSchema, create, db => new SqliteTraces(db))
  }

  #text(period: HotPeriod, create: boolean): SqliteText | undefined {
    return this.#open(this.#texts, period, textSchema, create, db => new SqliteText(db))
  }

  /** A file that was removed or replaced under us is opened anew, never written to in the dark. */
  #open<T extends { close(): void }>(
    opened: Map<number, Opened<T>>,
    period: HotPeriod,
    schema: string,
    create: boolean,
    make: (database: DatabaseSync) => T,
  ): T | undefined {
    const path = join(this.#folder, `${periodName(period)}.sqlite`)
    const number = fileNumber(path)
    const before = opened.get(period.startMs)
    opened.delete(period.startMs)
    if (before !== undefined && before.number === number) {
      opened.set(period.startMs, before)
      return before.file
    }
    before?.file.close()
    const database = openHotFile(path, schema, create)
    if (database === undefined) return undefined
    const file = make(database)
    opened.set(period.startMs, { file, number: fileNumber(path) })
    for (const [oldest, { file: unused }] of opened) {
      if (opened.size <= hotFilesOpenMax / 2) break
      unused.close()
      opened.delete(oldest)
    }
    return file
  }

  /** Newest first. */
  #periods(kind: HotPeriod['kind']): HotPeriod[] {
    return this.#files()
      .filter(({ name, period }) => period.kind === kind && name.endsWith('.sqlite'))
      .map(({ period }) => period)
      .sort((a, b) => b.startMs - a.startMs)
  }

  /** With the `-wal` and `-shm` that SQLite keeps beside an open file, or leaves after a crash. */
  #files(): { readonly name: string; readonly period: HotPeriod }[] {
    return readdirSync(this.#folder).flatMap(name => {
      const period = parsePeriod(name.replace(/\.sqlite(-wal|-shm)?$/, ''))
      return period === undefined || !name.includes('.sqlite') ? [] : [{ name, period }]
    })
  }
}

function byPeriod(
  traces: readonly HotTrace[],
  periodOf: (trace: HotTrace) => HotPeriod,
): [HotPeriod, HotTrace[]][] {
  const groups = new Map<number, [HotPeriod, HotTrace[]]>()
  for (const trace of traces) {
    const period = periodOf(trace)
    const group = groups.get(period.startMs)
    if (group === undefined) groups.set(period.startMs, [period, [trace]])
    else group[1].push(trace)
  }
  return [...groups.values()]
}

function attempt<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw hotError(what, error)
  }
}
