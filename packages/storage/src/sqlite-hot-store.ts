import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DecisionHead } from '@winnow/model'
import { bodiesOf, spansOf } from './hot-parts.ts'
import { dayOf, endOf, type HotPeriod, hourOf, parsePeriod, periodName } from './hot-period.ts'
import { checkSearch, compareDecided, pageOf, type SearchPosition } from './hot-search.ts'
import {
  defaultHotLife,
  type HotLife,
  type HotStore,
  type HotTrace,
  type HotTraceRead,
  type TraceFilter,
  type TracePage,
} from './hot-store.ts'
import { isNewer } from './hot-version.ts'
import { fileNumber, hotError, openHotFile } from './sqlite-file.ts'
import {
  type HotPart,
  type HotTraceRow,
  SqliteTraces,
  type TextPlace,
  tracesSchema,
} from './sqlite-traces.ts'
import { TextFiles } from './text-files.ts'

/** Days held open at once: 9 are in use; what strays further is opened anew. */
export const hotFilesOpenMax = 16

interface Opened {
  readonly file: SqliteTraces
  readonly number: number | undefined
}

/**
 * The hot tier as files in one folder, a UTC day of traces or a UTC hour of text each:
 *
 *   traces-2026-11-21.sqlite                trace rows, span rows at structured level
 *   text-2026-11-21T07-<12 hex digits>.bin  the bytes of what was decided in that hour
 *
 * Expiry removes files, so it costs the same for a thousand rows as for a billion and gives the
 * space back. Everything in it is synchronous: run it in a worker. Any number of processes may read
 * beside any number that write.
 */
export class SqliteHotStore implements HotStore {
  readonly #folder: string
  readonly #life: HotLife
  readonly #traces = new Map<number, Opened>()
  readonly #texts: TextFiles

  /** Makes the folder where it is missing; files only as something is put. */
  constructor(folder: string, life: HotLife = defaultHotLife) {
    this.#folder = folder
    this.#life = life
    this.#texts = new TextFiles(folder)
    attempt(`opening the hot store in ${folder}`, () => mkdirSync(folder, { recursive: true }))
  }

  async put(traces: readonly HotTrace[]): Promise<void> {
    attempt('writing to the hot store', () => {
      const texts = this.#texts
      const place = ({ decision, bodies }: HotTrace): TextPlace | undefined =>
        texts.place(hourOf(decision.decidedAtMs), bodies)
      try {
        for (const [period, group] of byDay(traces)) {
          this.#day(period, true)?.put(group, place, () => texts.sync())
        }
      } finally {
        texts.drop()
      }
    })
  }

  async get(tenant: string, traceId: string): Promise<HotTraceRead | undefined> {
    return attempt('reading the hot store', () => {
      let last: HotTraceRow | undefined
      const parts: HotPart[] = []
      for (const period of this.#days()) {
        const day = this.#day(period, false)
        const found = day?.trace(tenant, traceId)
        if (found === undefined) continue
        if (last === undefined || isNewer(found, last)) last = found
        parts.push(...(day?.parts(tenant, traceId) ?? []))
      }
      if (last === undefined) return undefined
      const { decision, partition, logId, offset } = last
      const bodies = bodiesOf(parts, part => this.#texts.read(part))
      return { decision, partition, logId, offset, spans: spansOf(parts), bodies }
    })
  }

  async search(filter: TraceFilter): Promise<TracePage> {
    const position = checkSearch(filter)
    return attempt('searching the hot store', () => {
      const wanted = filter.limit + 1
      const days = this.#days()
      const found = days.flatMap(day => this.#searchDay(day, days, filter, position, wanted))
      return pageOf(found.sort(compareDecided).slice(0, wanted), filter.limit)
    })
  }

  async expire(nowMs: number): Promise<void> {
    attempt('expiring from the hot store', () => {
      for (const { name, period } of this.#files()) {
        const life = period.kind === 'traces' ? this.#life.tracesMs : this.#life.textMs
        if (endOf(period) + life > nowMs) continue
        if (period.kind === 'text') this.#texts.forget(period)
        else {
          this.#traces.get(period.startMs)?.file.close()
          this.#traces.delete(period.startMs)
        }
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
    for (const { file } of this.#traces.values()) file.close()
    this.#traces.clear()
    this.#texts.close()
  }

  /** A day's matches whose trace has no later decision in another day, up to `wanted`. */
  #searchDay(
    day: HotPeriod,
    days: readonly HotPeriod[],
    filter: TraceFilter,
    position: SearchPosition | undefined,
    wanted: number,
  ): DecisionHead[] {
    const found: DecisionHead[] = []
    let after = position
    for (;;) {
      const rows = this.#day(day, false)?.search(filter, after, wanted) ?? []
      for (const { decision, ...version } of rows) {
        const { tenant, traceId } = decision
        const isLast = days.every(other => {
          const theirs = other === day ? undefined : this.#day(other, false)
          const last = theirs?.version(tenant, traceId)
          return last === undefined || isNewer(version, last)
        })
        if (isLast) found.push(decision)
      }
      after = rows.at(-1)?.decision
      if (rows.length < wanted || found.length >= wanted) return found
    }
  }

  /** A file that was removed or replaced under us is opened anew, never written to in the dark. */
  #day(period: HotPeriod, create: boolean): SqliteTraces | undefined {
    const opened = this.#traces
    const path = join(this.#folder, `${periodName(period)}.sqlite`)
    const number = fileNumber(path)
    const before = opened.get(period.startMs)
    opened.delete(period.startMs)
    if (before !== undefined && before.number === number) {
      opened.set(period.startMs, before)
      return before.file
    }
    before?.file.close()
    const database = openHotFile(path, tracesSchema, create)
    if (database === undefined) return undefined
    const file = new SqliteTraces(database)
    opened.set(period.startMs, { file, number: fileNumber(path) })
    for (const [oldest, { file: unused }] of opened) {
      if (opened.size <= hotFilesOpenMax) break
      unused.close()
      opened.delete(oldest)
    }
    return file
  }

  /** Newest first. */
  #days(): HotPeriod[] {
    return this.#files()
      .filter(({ name, period }) => period.kind === 'traces' && name.endsWith('.sqlite'))
      .map(({ period }) => period)
      .sort((a, b) => b.startMs - a.startMs)
  }

  /** With the `-wal` and `-shm` that SQLite keeps beside an open file, or leaves after a crash. */
  #files(): { readonly name: string; readonly period: HotPeriod }[] {
    return readdirSync(this.#folder).flatMap(name => {
      const period = parsePeriod(name.replace(/(\.sqlite(-wal|-shm)?|-[0-9a-f]{12}\.bin)$/, ''))
      const isOwn = period?.kind === 'traces' ? name.includes('.sqlite') : name.endsWith('.bin')
      return period === undefined || !isOwn ? [] : [{ name, period }]
    })
  }
}

function byDay(traces: readonly HotTrace[]): [HotPeriod, HotTrace[]][] {
  const groups = new Map<number, [HotPeriod, HotTrace[]]>()
  for (const trace of traces) {
    const period = dayOf(trace.decision.seriesAtMs)
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
