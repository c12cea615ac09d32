import { DDSketch, upperBoundMs } from './ddsketch.ts'
import type { SlowBar } from './rules.ts'

/** Panes of a window. The oldest leaves as a whole, so a bar looks back five to six sixths of it. */
const panesMax = 6
/** A bar is taken anew after this share of new durations: its rank is off by less than 0.2 %. */
const refreshShare = 512

export interface BaselineKey {
  readonly tenant: string
  readonly service: string
  readonly operation: string
  /** Absent: every variant, and traces without one. */
  readonly variant?: string
}

/** One partition's share of a key: its panes by number (`floor(log time / pane length)`). */
export interface BaselineEntry extends BaselineKey {
  readonly panes: readonly (readonly [pane: number, sketch: DDSketch])[]
}

interface Entry {
  readonly key: BaselineKey
  /** All partitions' live panes. */
  readonly total: DDSketch
  readonly parts: Map<number, Map<number, DDSketch>>
  bar:
    | { readonly quantile: number; readonly atCount: number; readonly thresholdMs: number }
    | undefined
}

/**
 * How long root spans have taken, by (tenant, service, operation) and by variant within it, over all
 * partitions that this process owns. Each partition's share is kept apart, because the partition takes
 * it along to its next owner. Approximate by nature: a crash loses what was not yet written.
 */
export class Baselines {
  readonly #paneMs: number
  readonly #countMin: number
  readonly #keysMax: number
  /** `all` has the keys without variant, `variant` the others; each at most `keysMax`. */
  readonly #levels = { all: new Map<string, Entry>(), variant: new Map<string, Entry>() }
  /** Partitions whose share has grown since it was last asked for. */
  readonly #grown = new Set<number>()
  #newestPane = 0

  constructor(options: {
    readonly windowMs: number
    readonly countMin: number
    readonly keysMax: number
  }) {
    this.#paneMs = Math.max(1, Math.ceil(options.windowMs / panesMax))
    this.#countMin = options.countMin
    this.#keysMax = options.keysMax
  }

  /** The bar of the finest key that has enough durations. */
  bar(key: BaselineKey, quantile: number): SlowBar {
    const fine = this.#find(key)
    const entry =
      fine !== undefined && fine.total.count >= this.#countMin ? fine : this.#coarse(key)
    const { service, operation } = key
    if (entry === undefined) return { count: 0, key: `${service} ${operation}` }
    const count = entry.total.count
    const name = [service, operation, entry.key.variant].filter(Boolean).join(' ')
    if (count < this.#countMin) return { count, key: name }
    return { thresholdMs: barOf(entry, quantile), count, key: name }
  }

  /** Adds a duration to its key and to the coarser one. What lies before the window is left out. */
  add(partition: number, key: BaselineKey, durationMs: number, atMs: number): void {
    const pane = Math.floor(atMs / this.#paneMs)
    this.#advance(pane)
    if (pane <= this.#newestPane - panesMax) return
    this.#grown.add(partition)
    const { variant, ...all } = key
    this.#addTo(this.#make(all), partition, pane, durationMs)
    if (variant !== undefined) this.#addTo(this.#make(key), partition, pane, durationMs)
  }

  /** Whether the partition's share has grown since the last call. */
  takeGrowth(partition: number): boolean {
    return this.#grown.delete(partition)
  }

  /** A partition's share, for `baselines`; keys with the most durations first. */
  share(partition: number): BaselineEntry[] {
    const shares: { readonly count: number; readonly entry: BaselineEntry }[] = []
    for (const { key, parts } of this.#entries()) {
      const panes = [...(parts.get(partition) ?? [])]
      const count = panes.reduce((sum, [, sketch]) => sum + sketch.count, 0)
      if (count > 0) shares.push({ count, entry: { ...key, panes } })
    }
    return shares.sort((a, b) => b.count - a.count).map(({ entry }) => entry)
  }

  /** Takes over what a former owner of the partition wrote. What is known of the partition is replaced. */
  load(partition: number, entries: readonly BaselineEntry[]): void {
    this.forget(partition)
    for (const { panes, ...key } of entries) {
      for (const [pane] of panes) this.#advance(pane)
      const entry = this.#make(key)
      if (entry === undefined) continue
      for (const [pane, sketch] of panes) {
        if (pane <= this.#newestPane - panesMax) continue
        partOf(entry, partition).set(pane, sketch)
        entry.total.merge(sketch)
      }
      entry.bar = undefined
    }
  }

  forget(partition: number): void {
    for (const entry of this.#entries()) {
      for (const sketch of entry.parts.get(partition)?.values() ?? []) entry.total.merge(sketch, -1)
      entry.parts.delete(partition)
      entry.bar = undefined
    }
    this.#dropEmpty()
  }

  #addTo(entry: Entry | undefined, partition: number, pane: number, durationMs: number): void {
    if (entry === undefined) return
    const part = partOf(entry, partition)
    const sketch = part.get(pane) ?? new DDSketch()
    part.set(pane, sketch)
    sketch.add(durationMs)
    entry.total.add(durationMs)
  }

  #advance(pane: number): void {
    if (pane <= this.#newestPane) return
    this.#newestPane = pane
    for (const entry of this.#entries()) {
      for (const part of entry.parts.values()) {
        for (const [index, sketch] of part) {
          if (index > pane - panesMax) continue
          entry.total.merge(sketch, -1)
          part.delete(index)
        }
      }
      entry.bar = undefined
    }
    this.#dropEmpty()
  }

  #dropEmpty(): void {
    for (const level of Object.values(this.#levels)) {
      for (const [id, entry] of level) if (entry.total.count === 0) level.delete(id)
    }
  }

  #coarse({ tenant, service, operation }: BaselineKey): Entry | undefined {
    return this.#find({ tenant, service, operation })
  }

  #find(key: BaselineKey): Entry | undefined {
    return this.#levelOf(key).get(idOf(key))
  }

  #make(key: BaselineKey): Entry | undefined {
    const level = this.#levelOf(key)
    const id = idOf(key)
    const known = level.get(id)
    if (known !== undefined || level.size >= this.#keysMax) return known
    const entry: Entry = { key, total: new DDSketch(), parts: new Map(), bar: undefined }
    level.set(id, entry)
    return entry
  }

  #levelOf(key: BaselineKey): Map<string, Entry> {
    return this.#levels[key.variant === undefined ? 'all' : 'variant']
  }

  *#entries(): Generator<Entry> {
    yield* this.#levels.all.values()
    yield* this.#levels.variant.values()
  }
}

function barOf(entry: Entry, quantile: number): number {
  const { bar, total } = entry
  const isFresh =
    bar?.quantile === quantile && (total.count - bar.atCount) * refreshShare <= bar.atCount
  if (bar !== undefined && isFresh) return bar.thresholdMs
  const bucket = total.quantileBucket(quantile)
  const thresholdMs = bucket === undefined ? Number.POSITIVE_INFINITY : upperBoundMs(bucket)
  entry.bar = { quantile, atCount: total.count, thresholdMs }
  return thresholdMs
}

function partOf(entry: Entry, partition: number): Map<number, DDSketch> {
  const part = entry.parts.get(partition) ?? new Map<number, DDSketch>()
  entry.parts.set(partition, part)
  return part
}

/** NUL cannot be typed into a name by accident, and a key that is shared only blurs a bar. */
const idOf = ({ tenant, service, operation, variant }: BaselineKey): string =>
  `${tenant}\0${service}\0${operation}\0${variant ?? ''}`
