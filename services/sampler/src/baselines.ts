import { DDSketch } from './ddsketch.ts'
import {
  type Bar,
  bucketInForce,
  isRaised,
  newBar,
  refreshBar,
  spendBudget,
  thresholdOfBucket,
} from './slow-bar.ts'
import type { Quantity, SlowBar } from './slow-rule.ts'

/** Panes of a window. The oldest leaves as a whole, so a bar looks back five to six sixths of it. */
const panesMax = 6

/** A sketch tells 0.001 and more apart: so a millionth of a dollar is the least cost. */
const scaleOf: Readonly<Record<Quantity, number>> = {
  duration: 1,
  tokens: 1,
  cost: 1_000,
  spans: 1,
}

export interface BaselineKey {
  readonly tenant: string
  readonly service: string
  readonly operation: string
  /** Absent: every variant, and traces without one. */
  readonly variant?: string
  /** Absent: the duration. */
  readonly quantity?: Quantity
}

/** One partition's share of a key: its panes by number (`floor(log time / pane length)`). */
export interface BaselineEntry extends BaselineKey {
  readonly panes: readonly (readonly [pane: number, sketch: DDSketch])[]
}

type Panes = Map<number, DDSketch>

interface Entry {
  readonly key: BaselineKey
  /** Of all partitions. */
  readonly panes: Panes
  readonly parts: Map<number, Panes>
  readonly bars: Bar[]
  count: number
  /** It has had enough values, and has not lost half of them since. */
  isWarm: boolean
}

interface Levels {
  readonly all: Map<string, Entry>
  readonly variant: Map<string, Entry>
}

/**
 * How long root spans have taken and what else is asked of them, by (tenant, service, operation) and by
 * variant within it, over all partitions of the fleet: those held here as they grow, the others as their
 * owners wrote them last. Each partition's share is kept apart, so that it is replaced as a whole and
 * counted once, whoever holds it. Approximate by nature: a crash loses what was not yet written.
 */
export class Baselines {
  readonly #paneMs: number
  readonly #countMin: number
  readonly #keysMax: number
  /** By quantity: `all` has the keys without variant, `variant` the others; each at most `keysMax`. */
  readonly #levels = new Map<Quantity, Levels>()
  /** Partitions whose share grows here and nowhere else. */
  readonly #held = new Set<number>()
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

  /** The bar of the finest key that has enough values. */
  bar(key: BaselineKey, quantile: number): SlowBar {
    const entry = this.#warmest(key)
    const { service, operation, quantity = 'duration' } = key
    if (entry === undefined) return { count: 0, key: `${service} ${operation}` }
    const { count } = entry
    const name = [service, operation, entry.key.variant].filter(Boolean).join(' ')
    if (!this.#isWarm(entry)) return { count, key: name }
    const bar = barOf(entry, quantile)
    refreshBar(bar, entry.panes, count, this.#countMin)
    const bucket = bucketInForce(bar)
    const threshold = bucket === undefined ? Number.POSITIVE_INFINITY : thresholdOfBucket(bucket)
    return {
      threshold: threshold / scaleOf[quantity],
      count: count - bar.apart,
      key: name,
      ...(bar.apart > 0 && { apart: bar.apart }),
      ...(isRaised(bar) && { raised: true }),
    }
  }

  /**
   * Adds a value to its key and to the coarser one, and to what it was compared with that it was. What
   * lies before the window is left out.
   */
  add(partition: number, key: BaselineKey, value: number, atMs: number): void {
    const pane = Math.floor(atMs / this.#paneMs)
    this.#advance(pane)
    if (pane <= this.#newestPane - panesMax) return
    this.#grown.add(partition)
    const scaled = value * scaleOf[key.quantity ?? 'duration']
    const compared = this.#warmest(key)
    if (compared?.isWarm === true) {
      for (let i = 0; i < compared.bars.length; i++) spendBudget(compared.bars[i] as Bar, scaled)
    }
    const { variant, ...all } = key
    this.#addTo(this.#make(all), partition, pane, scaled)
    if (variant !== undefined) this.#addTo(this.#make(key), partition, pane, scaled)
  }

  /** Whether the partition's share has grown since the last call. */
  takeGrowth(partition: number): boolean {
    return this.#grown.delete(partition)
  }

  /** What {@link takeGrowth} said was not written. */
  putBackGrowth(partition: number): void {
    this.#grown.add(partition)
  }

  /** A partition's share, for `baselines`; keys with the most values first. */
  share(partition: number): BaselineEntry[] {
    const shares: { readonly count: number; readonly entry: BaselineEntry }[] = []
    for (const { key, parts } of this.#entries()) {
      const panes = [...(parts.get(partition) ?? [])]
      const count = panes.reduce((sum, [, sketch]) => sum + sketch.count, 0)
      if (count > 0) shares.push({ count, entry: { ...key, panes } })
    }
    return shares.sort((a, b) => b.count - a.count).map(({ entry }) => entry)
  }

  /** From now on the share grows here: what others write of the partition is not taken any more. */
  hold(partition: number, entries: readonly BaselineEntry[] | undefined): void {
    this.#held.add(partition)
    this.#grown.delete(partition)
    if (entries !== undefined) this.#replace(partition, entries)
  }

  isHeld(partition: number): boolean {
    return this.#held.has(partition)
  }

  /** The partition is another's: its share stays as it is known here until the other has written it. */
  release(partition: number): void {
    this.#held.delete(partition)
    this.#grown.delete(partition)
  }

  /** What another process wrote of a partition replaces all that is known of it, unless it is held here. */
  follow(partition: number, entries: readonly BaselineEntry[]): void {
    if (!this.#held.has(partition)) this.#replace(partition, entries)
  }

  #replace(partition: number, entries: readonly BaselineEntry[]): void {
    for (const entry of this.#entries()) {
      const part = entry.parts.get(partition)
      if (part === undefined) continue
      for (const [pane, sketch] of part) take(entry, pane, sketch)
      entry.parts.delete(partition)
      stale(entry)
    }
    for (const { panes } of entries) for (const [pane] of panes) this.#advance(pane)
    for (const { panes, ...key } of entries) {
      const entry = this.#make(key)
      if (entry === undefined) continue
      const part = partOf(entry, partition)
      for (const [pane, sketch] of panes) {
        if (pane <= this.#newestPane - panesMax) continue
        part.set(pane, sketch)
        paneOf(entry.panes, pane).merge(sketch)
        entry.count += sketch.count
      }
      stale(entry)
    }
    this.#dropEmpty()
  }

  #addTo(entry: Entry | undefined, partition: number, pane: number, value: number): void {
    if (entry === undefined) return
    paneOf(partOf(entry, partition), pane).add(value)
    paneOf(entry.panes, pane).add(value)
    entry.count++
  }

  #advance(pane: number): void {
    if (pane <= this.#newestPane) return
    this.#newestPane = pane
    for (const entry of this.#entries()) {
      for (const part of entry.parts.values()) {
        for (const index of part.keys()) if (index <= pane - panesMax) part.delete(index)
      }
      for (const [index, sketch] of entry.panes) {
        if (index > pane - panesMax) continue
        entry.count -= sketch.count
        entry.panes.delete(index)
      }
      stale(entry)
    }
    this.#dropEmpty()
  }

  #dropEmpty(): void {
    for (const levels of this.#levels.values()) {
      for (const level of [levels.all, levels.variant]) {
        for (const [id, entry] of level) if (entry.count === 0) level.delete(id)
      }
    }
  }

  /**
   * The finest key with enough values, else the coarser one. A key that was warm stays so until half of
   * what makes it warm is gone: at the limit a trace would be compared now with the one, now with the other.
   */
  #warmest(key: BaselineKey): Entry | undefined {
    const entry = this.#find(key)
    if (key.variant === undefined || (entry !== undefined && this.#isWarm(entry))) return entry
    const { variant, ...all } = key
    return this.#find(all)
  }

  #isWarm(entry: Entry): boolean {
    const { count } = entry
    entry.isWarm = count >= this.#countMin || (entry.isWarm && 2 * count >= this.#countMin)
    return entry.isWarm
  }

  #find(key: BaselineKey): Entry | undefined {
    return this.#levelOf(key).get(idOf(key))
  }

  #make(key: BaselineKey): Entry | undefined {
    const level = this.#levelOf(key)
    const id = idOf(key)
    const known = level.get(id)
    if (known !== undefined || level.size >= this.#keysMax) return known
    const entry = { key, panes: new Map(), parts: new Map(), bars: [], count: 0, isWarm: false }
    level.set(id, entry)
    return entry
  }

  #levelOf({ variant, quantity = 'duration' }: BaselineKey): Map<string, Entry> {
    let levels = this.#levels.get(quantity)
    if (levels === undefined) {
      levels = { all: new Map(), variant: new Map() }
      this.#levels.set(quantity, levels)
    }
    return levels[variant === undefined ? 'all' : 'variant']
  }

  *#entries(): Generator<Entry> {
    for (const { all, variant } of this.#levels.values()) {
      yield* all.values()
      yield* variant.values()
    }
  }
}

function barOf({ bars }: Entry, quantile: number): Bar {
  const known = bars.find(one => one.quantile === quantile)
  if (known !== undefined) return known
  // As many as there are rules; those of a policy that is gone are not asked any more.
  if (bars.length >= barsMax) bars.shift()
  const bar = newBar(quantile)
  bars.push(bar)
  return bar
}

const barsMax = 8

/** What the bars were taken from has changed by more than new values. */
function stale({ bars }: Entry): void {
  for (const bar of bars) bar.atCount = 0
}

function take(entry: Entry, pane: number, sketch: DDSketch): void {
  const all = entry.panes.get(pane)
  if (all === undefined) return
  all.merge(sketch, -1)
  entry.count -= sketch.count
  if (all.count === 0) entry.panes.delete(pane)
}

function partOf(entry: Entry, partition: number): Panes {
  const part = entry.parts.get(partition) ?? new Map<number, DDSketch>()
  entry.parts.set(partition, part)
  return part
}

function paneOf(panes: Panes, pane: number): DDSketch {
  const known = panes.get(pane)
  if (known !== undefined) return known
  const sketch = new DDSketch()
  panes.set(pane, sketch)
  return sketch
}

/** NUL cannot be typed into a name by accident, and a key that is shared only blurs a bar. */
const idOf = ({ tenant, service, operation, variant }: BaselineKey): string =>
  `${tenant}\0${service}\0${operation}\0${variant ?? ''}`
