import { type BlobStore, type ListedSegment, listSegments, readAllSpans } from '@winnow/storage'
import { type CostLine, totalOf } from './cost-model.ts'
import { namesMax, others, readsAtOnce } from './ledger-sums.ts'

/** What spans of one name cause. Hot is left out: the texts there are held by slice, not by span. */
export interface SpanShare {
  readonly name: string
  /** Rows in the segments that were read. */
  readonly rows: number
  /** Of their texts: name, attributes, events and links, UTF-8. */
  readonly bytes: number
  /** Of a month in which both tiers are full. */
  readonly dollars: Readonly<Record<SharedTier | 'total', number>>
}

export interface SpanShares {
  /** Of warm, in this time: all of them, or {@link spanSegmentsMax} spread evenly over it. */
  readonly segments: { readonly read: number; readonly of: number }
  /** The dearest first. */
  readonly names: readonly SpanShare[]
}

export interface SpanSharesQuestion {
  readonly sinceMs: number
  readonly untilMs: number
  /** Of this one alone; absent: of every tenant. */
  readonly tenant?: string | undefined
  readonly segmentsMax?: number
  readonly onSegment?: (read: number, of: number) => void
}

type SharedTier = 'warm' | 'cold'

/** Segments of warm that are read: four million rows at most, which take minutes. */
export const spanSegmentsMax = 200

const columns = ['tenant', 'name', 'attributes', 'resource_attributes', 'events', 'links'] as const

/**
 * Shares out what warm and cold cost by the names of spans, by the bytes of their rows in warm. The ledger knows
 * the root alone. Rejects with DATA_CORRUPT for what is no segment, with STORE_UNAVAILABLE.
 */
export async function spanShares(
  blobs: BlobStore,
  lines: readonly CostLine[],
  { sinceMs, untilMs, tenant, segmentsMax = spanSegmentsMax, onSegment }: SpanSharesQuestion,
): Promise<SpanShares> {
  const listed = await Array.fromAsync(listSegments(blobs, 'warm', { sinceMs, untilMs }))
  const segments = spread(listed, segmentsMax)
  const sums = new Map<string, { rows: number; bytes: number }>()
  let all = 0
  for (let at = 0; at < segments.length; at += readsAtOnce) {
    const some = segments.slice(at, at + readsAtOnce)
    const read = await Promise.all(some.map(({ key }) => readAllSpans(blobs, key, columns)))
    for (const row of read.flat()) {
      if (tenant !== undefined && row.tenant !== tenant) continue
      const name = sums.has(row.name) || sums.size < namesMax ? row.name : others
      const bytes = [row.name, row.attributes, row.resource_attributes, row.events, row.links]
        .map(text => Buffer.byteLength(text))
        .reduce((sum, one) => sum + one)
      const own = sums.get(name) ?? { rows: 0, bytes: 0 }
      own.rows++
      own.bytes += bytes
      sums.set(name, own)
      all += bytes
    }
    onSegment?.(at + some.length, segments.length)
  }
  const monthOf = (tier: SharedTier): number => totalOf(lines.filter(line => line.tier === tier))
  const [warm, cold] = [monthOf('warm'), monthOf('cold')]
  const names = Array.from(sums, ([name, { rows, bytes }]): SpanShare => {
    const own = { warm: (warm * bytes) / all, cold: (cold * bytes) / all }
    return { name, rows, bytes, dollars: { ...own, total: own.warm + own.cold } }
  })
  names.sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1))
  return { segments: { read: segments.length, of: listed.length }, names }
}

/** As many as may be, at equal distances. */
function spread(segments: readonly ListedSegment[], max: number): readonly ListedSegment[] {
  if (segments.length <= max) return segments
  const every = segments.length / max
  return Array.from({ length: max }, (_, n) => segments[Math.floor((n + 0.5) * every)]).filter(
    segment => segment !== undefined,
  )
}
