import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DecisionHead } from '@winnow/model'
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
import { dayOf, endOf, type HotPeriod, hourOf, parsePeriod, periodName } from './hot-period.ts'
import { checkSearch, compareDecided, pageOf, type SearchPosition } from './hot-search.ts'
import {
  defaultHotLife,
  type ErasedFromHot,
  type HeldPeriod,
  type HotLife,
  type HotStore,
  type HotTrace,
  type HotTraceRead,
  type TraceFilter,
  type TracePage,
} from './hot-store.ts'
import { isNewer } from './hot-version.ts'
import { eraseFromFile } from './sqlite-erase.ts'
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
 *   traces-2026-11-21-<random>.sqlite  trace rows, span rows at structured level
 *   text-2026-11-21T07-<random>.bin    the bytes of what was decided in that hour
 *
 * Expiry removes files, so it costs the same for a thousand rows as for a billion and gives the
 * space back. Everything in it is synchronous: run it in a worker. Any number of processes may read
 * beside any number that write.
 */
export class SqliteHotStore implements HotStore {
  readonly #folder: string
  readonly #life: HotLife
  readonly #traces = new Map<string, Opened>()
  readonly #texts: TextFiles
  /** Where traces were put last, so that not every put lists the folder. */
  #last: { readonly day: string; readonly name: string } | undefined

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
          this.#fileOf(period).put(group, place, () => texts.sync())
        }
      } finally {
        texts.drop()
      }
    })
  }

  async get(
    tenant: string,
    traceId: string,
    textFromMs?: number,
  ): Promise<HotTraceRead | undefined> {
    return attempt('reading the hot store', () => {
      let last: HotTraceRow | undefined
      const parts: HotPart[] = []
      for (const name of this.#days()) {
        const read = this.#read(name, day => {
          const found = day.trace(tenant, traceId)
          return found && { found, parts: day.parts(tenant, traceId) }
        })
        if (read === undefined) continue
        if (last === undefined || isNewer(read.found, last)) last = read.found
        parts.push(...read.parts)
      }
      if (last === undefined) return undefined
      const { decision, partition, logId, offset } = last
      const bodies = bodiesOf(parts, part => this.#texts.read(part), textFromMs)
      return { decision, partition, logId, offset, spans: spansOf(parts), bodies }
    })
  }

  async search(filter: TraceFilter): Promise<TracePage> {
    const position = checkSearch(filter)
    return attempt('searching the hot store', () => {
      const wanted = filter.limit + 1
      const days = this.#days()
      const found = days.flatMap(name => this.#searchDay(name, days, filter, position, wanted))
      return pageOf(found.sort(compareDecided).slice(0, wanted), filter.limit)
    })
  }

  async expire(nowMs: number): Promise<void> {
    attempt('expiring from the hot store', () => {
      for (const { name, period } of this.#files()) {
        const life = period.kind === 'traces' ? this.#life.tracesMs : this.#life.textMs
        if (endOf(period) + life > nowMs) continue
        if (period.kind === 'text') this.#texts.forget(period)
        this.#close(name)
        rmSync(join(this.#folder, name), { force: true })
      }
    })
  }

  async periods(): Promise<HeldPeriod[]> {
    return attempt('looking through the hot store', () => {
      const known = new Map(this.#files().map(({ name, period }) => [name, period]))
      return readdirSync(this.#folder).flatMap(name => {
        const held = statSync(join(this.#folder, name), { throwIfNoEntry: false })
        if (held === undefined) return []
        const period = known.get(name)
        const isDay = period?.kind === 'traces' && name.endsWith('.sqlite')
        const oldestMs = isDay ? this.#read(name, day => day.oldestMs()) : undefined
        return [{ name, period, bytes: held.size, ...(oldestMs !== undefined && { oldestMs }) }]
      })
    })
  }

  /** Reads all of the day: it is for an audit. */
  async census(dayStartMs: number, frontier: HotFrontier): Promise<HotCensus> {
    return attempt('counting what the hot store holds', () => {
      const groups = hotGroups.map(group =>
        countGathered(this.#gathered(dayStartMs, group, frontier)),
      )
      return { groups, strays: 0 }
    })
  }

  async held(dayStartMs: number, group: string, frontier: HotFrontier): Promise<HeldTrace[]> {
    return attempt('listing what the hot store holds', () =>
      sortedHeld(this.#gathered(dayStartMs, group, frontier)),
    )
  }

  /** Blocks for as long as the days concerned take to be written anew: see `sqlite-erase.ts`. */
  async erase(tenant: string, traceIds: readonly string[]): Promise<ErasedFromHot> {
    return attempt('erasing from the hot store', () => {
      const erased = { traces: 0, rows: 0, bytes: 0 }
      for (const name of this.#days()) {
        this.#close(name)
        const of = eraseFromFile(this.#folder, name, tenant, traceIds)
        erased.traces += of.traces
        erased.rows += of.rows
        erased.bytes += of.bytes
      }
      return erased
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

  /** Of all files of the day: two processes that made the first at once have one each. */
  #gathered(dayStartMs: number, group: string, frontier: HotFrontier): Gathered[] {
    const isWithin = withinFrontier(frontier)
    const day = periodName(dayOf(dayStartMs))
    const read = this.#days()
      .filter(name => name.startsWith(`${day}-`))
      .flatMap(name => this.#read(name, file => file.group(group)) ?? [])
    const traces = new Map<string, (typeof read)[number]>()
    for (const one of read) {
      const id = `${one.traceId} ${one.tenant}`
      const other = traces.get(id)
      const parts = new Map([...(other?.parts ?? []), ...one.parts].map(part => [part.name, part]))
      const last = other !== undefined && isNewer(other.last, one.last) ? other.last : one.last
      traces.set(id, { ...one, last, parts: [...parts.values()] })
    }
    return [...traces.values()].map(({ tenant, traceId, last, parts }) =>
      gather({ tenant, traceId }, last, parts, isWithin),
    )
  }

  /** A file's matches whose trace has no later decision in another file, up to `wanted`. */
  #searchDay(
    name: string,
    days: readonly string[],
    filter: TraceFilter,
    position: SearchPosition | undefined,
    wanted: number,
  ): DecisionHead[] {
    const found: DecisionHead[] = []
    let after = position
    for (;;) {
      const rows = this.#read(name, day => day.search(filter, after, wanted)) ?? []
      for (const { decision, ...version } of rows) {
        const { tenant, traceId } = decision
        const isLast = days.every((other, at) => {
          if (other === name) return true
          const last = this.#read(other, day => day.version(tenant, traceId))
          if (last === undefined || isNewer(version, last)) return true
          // A writer that took over put what the one before had put too: the first file speaks.
          return !isNewer(last, version) && days.indexOf(name) < at
        })
        if (isLast) found.push(decision)
      }
      after = rows.at(-1)?.decision
      if (rows.length < wanted || found.length >= wanted) return found
    }
  }

  /** Undefined as well where another process removes the file meanwhile. */
  #read<T>(name: string, work: (day: SqliteTraces) => T | undefined): T | undefined {
    const path = join(this.#folder, name)
    const number = fileNumber(path)
    try {
      const day = this.#opened(name)
      return day && work(day)
    } catch (error) {
      if (fileNumber(path) === number && number !== undefined) throw error
      this.#close(name)
      return undefined
    }
  }

  /**
   * Where a day's traces are put. Names are never made twice: what is left of a file that was removed
   * under somebody's hands can then be no part of another. So two processes that make the first at
   * once have one each, and whoever reads looks into all.
   */
  #fileOf(period: HotPeriod): SqliteTraces {
    const day = periodName(period)
    const last = this.#last?.day === day ? this.#opened(this.#last.name) : undefined
    if (last !== undefined) return last
    for (const name of this.#days()) {
      const there = name.startsWith(`${day}-`) ? this.#opened(name) : undefined
      if (there === undefined) continue
      this.#last = { day, name }
      return there
    }
    const name = `${day}-${randomBytes(6).toString('hex')}.sqlite`
    const made = this.#opened(name, true)
    if (made === undefined) throw new TypeError(`${name} was made and is not there`)
    this.#last = { day, name }
    return made
  }

  /** A file that was removed under us is closed, never written to in the dark. */
  #opened(name: string, create = false): SqliteTraces | undefined {
    const opened = this.#traces
    const path = join(this.#folder, name)
    const before = opened.get(name)
    if (before !== undefined) {
      opened.delete(name)
      if (before.number === fileNumber(path)) {
        opened.set(name, before)
        return before.file
      }
      before.file.close()
    }
    const database = openHotFile(path, tracesSchema, create)
    if (database === undefined) return undefined
    const file = new SqliteTraces(database)
    opened.set(name, { file, number: fileNumber(path) })
    for (const [oldest, { file: unused }] of opened) {
      if (opened.size <= hotFilesOpenMax) break
      unused.close()
      opened.delete(oldest)
    }
    return file
  }

  #close(name: string): void {
    this.#traces.get(name)?.file.close()
    this.#traces.delete(name)
  }

  /** Names of the files of traces, newest first. */
  #days(): string[] {
    return this.#files()
      .filter(({ name, period }) => period.kind === 'traces' && name.endsWith('.sqlite'))
      .map(({ name }) => name)
      .sort((a, b) => (a < b ? 1 : -1))
  }

  /** With the `-wal` and `-shm` that SQLite keeps beside an open file, or leaves after a crash. */
  #files(): { readonly name: string; readonly period: HotPeriod }[] {
    return readdirSync(this.#folder).flatMap(name => {
      const period = parsePeriod(name.replace(/-[0-9a-f]{12}\.(sqlite(-wal|-shm)?|bin)$/, ''))
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
