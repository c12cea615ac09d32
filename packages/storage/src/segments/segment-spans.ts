// Hot: the writer goes through here for every kept span.
import type { ColdHasher } from '@winnow/privacy'
import { PackReader, SpanPack } from '../span-pack.ts'
import type { SpanRow } from '../span-row.ts'
import { checkRows, type EncodedGroup, rowGroupRows } from './parquet-write.ts'
import { SpanGroup } from './span-group.ts'

/** Spans of one trace in a segment: its packs by offset, and their rows where a span comes twice. */
interface TraceSpans {
  readonly packs: readonly SpanPack[]
  /** Of several packs: the rows that stay, in the order of the file. */
  readonly places: readonly Place[] | undefined
  readonly count: number
}

interface Place {
  readonly pack: number
  readonly start: number
}

/**
 * The spans of one segment in the order of its file: by trace id, tenant, start, span id; one a span
 * id, of two revisions that brought the same span the earlier one's. What warm and cold have in common
 * is encoded once for both.
 */
export class SegmentSpans {
  readonly #traces: readonly TraceSpans[]
  /** Rows of warm, and of cold. */
  readonly count: number
  #groups: readonly SpanGroup[] | undefined

  constructor(packs: readonly SpanPack[]) {
    this.#traces = byTrace(packs)
    this.count = this.#traces.reduce((sum, { count }) => sum + count, 0)
  }

  get tenants(): ReadonlySet<string> {
    return new Set(this.#traces.map(({ packs }) => (packs[0] as SpanPack).tenant))
  }

  warm(): EncodedGroup[] {
    return this.#built().map(group => group.warm())
  }

  /** With a hasher for each of `tenants`. */
  cold(hashers: ReadonlyMap<string, ColdHasher>): EncodedGroup[] {
    return this.#built().map(group => group.cold(hashers))
  }

  /** Both are written: what they were encoded from is given back. */
  release(): void {
    for (const group of this.#groups ?? []) group.release()
    this.#groups = undefined
  }

  #built(): readonly SpanGroup[] {
    this.#groups ??= this.#build()
    return this.#groups
  }

  #build(): SpanGroup[] {
    checkRows(this.count)
    const groups: SpanGroup[] = []
    let left = this.count
    let group = new SpanGroup(Math.min(left, rowGroupRows))
    for (const { packs, places } of this.#traces) {
      const readers = packs.map(({ bytes }) => new PackReader(bytes))
      for (const { pack, start } of places ?? placesOf(readers)) {
        if (group.isFull) {
          groups.push(group)
          group = new SpanGroup(Math.min(left, rowGroupRows))
        }
        group.add(readers[pack] as PackReader, start)
        left--
      }
    }
    if (this.count > 0) groups.push(group)
    return groups
  }
}

/** Rows as packs: of each trace and decision one. */
export function packsOf(rows: readonly SpanRow[]): SpanPack[] {
  const heads = Map.groupBy(rows, row =>
    JSON.stringify([
      row.trace_id,
      row.tenant,
      Number(row.sampling_offset),
      row.sampling_partition,
      row.sampling_revision,
      row.sampling_rule,
      row.sampling_probability,
      row.sampling_adjusted_count,
    ]),
  )
  return [...heads.values()].map(own => SpanPack.of(own))
}

/** Sorted by heads, not rows: there are eight times fewer. */
function byTrace(packs: readonly SpanPack[]): TraceSpans[] {
  const sorted = packs
    .filter(({ count }) => count > 0)
    .sort((a, b) => {
      if (a.traceId !== b.traceId) return a.traceId < b.traceId ? -1 : 1
      if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1
      return a.offset - b.offset
    })
  const traces: TraceSpans[] = []
  for (let from = 0; from < sorted.length; ) {
    const first = sorted[from] as SpanPack
    let to = from + 1
    while (sorted[to]?.traceId === first.traceId && sorted[to]?.tenant === first.tenant) to++
    const own = sorted.slice(from, to)
    if (own.length === 1) traces.push({ packs: own, places: undefined, count: first.count })
    else {
      const places = placesOf(own.map(({ bytes }) => new PackReader(bytes)))
      traces.push({ packs: own, places, count: places.length })
    }
    from = to
  }
  return traces
}

interface Sortable extends Place {
  readonly low: number
  readonly high: number
  readonly spanId: string
}

/** The rows of one trace that stay, in their order. A pack has a span id once. */
function placesOf(readers: readonly PackReader[]): Place[] {
  const rows: Sortable[] = []
  const seen = readers.length > 1 ? new Set<string>() : undefined
  let isSorted = true
  for (const [pack, reader] of readers.entries()) {
    for (let n = 0, start = reader.at; n < reader.rows; n++, start = reader.after(start)) {
      const spanId = reader.spanIdAt(start)
      if (seen?.has(spanId)) continue
      seen?.add(spanId)
      const { low, high } = reader.startAt(start)
      const row = { pack, start, low, high, spanId }
      const last = rows.at(-1)
      isSorted &&= last === undefined || compare(last, row) < 0
      rows.push(row)
    }
  }
  return isSorted ? rows : rows.sort(compare)
}

function compare(a: Sortable, b: Sortable): number {
  return a.high - b.high || a.low - b.low || (a.spanId < b.spanId ? -1 : 1)
}
