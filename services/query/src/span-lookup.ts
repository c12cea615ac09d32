import type { DecisionHead } from '@winnow/model'
import { isRetryable, type Log, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  compareSpans,
  dateOf,
  findTraceSpans,
  type ListedSegment,
  listSegments,
  parseSegmentKey,
  readSegmentMetadata,
  type SegmentName,
  type SpanRow,
  segmentKey,
} from '@winnow/storage'

/** Segments that one request looks into, at a footer and a bloom filter each where they lack the trace. */
export const traceSegmentsMax = 128

/** Days whose segments one request lists: a series that went on for longer is looked for in its first ones. */
export const traceDaysMax = 31

/** Spans of one trace that are read back from segments: some 200 MB of rows. */
export const storedSpansMax = 100_000

const dayMs = 86_400_000

/** How far a store's clock may be behind the log's: what it says to be older than a trace is passed over last. */
const storeClockSlackMs = 3_600_000

/** Spans of a kept trace that warm and cold still hold. */
export interface StoredSpans {
  /** One a span id, by start time, then by span id. */
  readonly spans: readonly SpanRow[]
  /** Where it was looked, in that order; the last one is that of the lowest level that has any. */
  readonly tiers: readonly ('warm' | 'cold')[]
  /** Of the spans: cold where any of them comes from there. Undefined: there are none. */
  readonly tier: 'warm' | 'cold' | undefined
  /** UTC date of the oldest segment that has any. */
  readonly date: string | undefined
  /** False where more segments could have some: over a limit, or unreadable. */
  readonly complete: boolean
  /** Keys of segments that could not be read; the log of the service says why. */
  readonly unreadable: readonly string[]
  /** Of some of them no key of the tenant's is left that hashed their strings. */
  readonly unlinkable: boolean
}

export interface SpanLookupOptions {
  readonly blobs: BlobStore
  /** Of a trace id, among the partitions of `decisions`. */
  readonly partitionOf: (traceId: string) => number
  /** How long warm holds what it holds: older days are asked for in cold first. */
  readonly warmLifeMs: number
  readonly nowMs: () => number
  /** Names of the tenant's cold keys that there are; undefined where nobody here can tell. */
  readonly coldKeys?: ((tenant: string) => Promise<readonly string[] | undefined>) | undefined
  readonly log: Log
  readonly segmentsMax?: number
  readonly spansMax?: number
  readonly daysMax?: number
}

/**
 * Reads the spans of a kept trace back from warm and cold. Its last decision says how many there are, and
 * from when to when the series went on; where it was found in the ledger, the segments of the same
 * name have the spans that it wrote. Those of earlier revisions lie in earlier segments of the partition,
 * which are looked through until all spans are found. Each is a footer and a bloom filter where it lacks
 * the trace.
 */
export class SpanLookup {
  readonly #options: SpanLookupOptions

  constructor(options: SpanLookupOptions) {
    this.#options = options
  }

  /** `segment`: key of the ledger's segment that has the decision, where that is known. */
  async find(
    tenant: string,
    decision: DecisionHead,
    segment: string | undefined,
  ): Promise<StoredSpans> {
    const { segmentsMax = traceSegmentsMax, spansMax = storedSpansMax } = this.#options
    const search = new SpanSearch(decision, spansMax)
    const own = segment === undefined ? undefined : parseSegmentKey(segment)
    if (own !== undefined) await this.#look(own, tenant, search)
    let left = segmentsMax - (own === undefined ? 0 : 1)
    if (!search.isOver) {
      for (const candidate of await this.#candidates(decision, own, search)) {
        if (search.isOver) break
        if (left-- === 0) {
          search.isPartial = true
          break
        }
        await this.#look(candidate, tenant, search)
      }
    }
    return search.result()
  }

  /**
   * Segments that may have further spans: those of the partition from the day before the series began, for
   * a range may have begun then, through the decision's own. What was written once the series had begun
   * goes first, oldest first: most traces are written whole at their first decision.
   */
  async #candidates(
    decision: DecisionHead,
    own: SegmentName | undefined,
    search: SpanSearch,
  ): Promise<readonly ListedSegment[]> {
    const { blobs, nowMs, daysMax = traceDaysMax } = this.#options
    const { seriesAtMs, decidedAtMs, traceId } = decision
    // A backlog may be decided days after its log time, but no later than now.
    const lastMs = Math.min(nowMs(), decidedAtMs + 2 * dayMs)
    const untilMs = own === undefined ? lastMs : Date.parse(`${own.date}T00:00:00Z`)
    const partition = this.#options.partitionOf(traceId)
    const segments: ListedSegment[] = []
    // By day, so that of other days and partitions nothing is listed.
    let days = 0
    for (
      let atMs = Math.max(0, seriesAtMs - dayMs);
      dateOf(atMs) <= dateOf(untilMs);
      atMs += dayMs
    ) {
      if (++days > daysMax) {
        search.isPartial = true
        break
      }
      const filter = { sinceMs: atMs, untilMs: atMs + 1, partition }
      for await (const listed of listSegments(blobs, 'ledger', filter)) {
        const isEarlier = listed.logId !== own?.logId || listed.offset < own.offset
        if (own === undefined || isEarlier) segments.push(listed)
      }
    }
    const isYounger = ({ modifiedAtMs }: ListedSegment): boolean =>
      modifiedAtMs >= seriesAtMs - storeClockSlackMs
    return [
      ...segments.filter(isYounger),
      ...segments.filter(listed => !isYounger(listed)).reverse(),
    ]
  }

  /** In the tier that the day may still have, then in the other. */
  async #look(name: SegmentName, tenant: string, search: SpanSearch): Promise<void> {
    const { blobs, warmLifeMs, nowMs } = this.#options
    const warmUntilMs = Date.parse(`${name.date}T00:00:00Z`) + dayMs + warmLifeMs
    // What has outlived its tier is not shown, though nobody may have deleted it yet.
    const tiers = nowMs() < warmUntilMs ? (['warm', 'cold'] as const) : (['cold'] as const)
    for (const tier of tiers) {
      search.searched(tier)
      const key = keyIn(tier, name)
      const rows = await this.#readable(key, search, () =>
        findTraceSpans(blobs, key, tenant, search.traceId),
      )
      if (rows === undefined) continue
      search.add(rows, tier, name.date)
      if (tier === 'cold' && rows.length > 0 && !search.isUnlinkable) {
        search.isUnlinkable = await this.#isUnlinkable(key, tenant)
      }
      return
    }
  }

  /** Whether the key that the object names for the tenant has been destroyed. */
  async #isUnlinkable(key: string, tenant: string): Promise<boolean> {
    const { blobs, coldKeys } = this.#options
    const names = await coldKeys?.(tenant)
    if (names === undefined) return false
    const used = (await readSegmentMetadata(blobs, key))?.coldKeys?.get(tenant)
    return used !== undefined && !names.includes(used)
  }

  /** One bad object makes an answer incomplete, and says so; a store that is away makes none. */
  async #readable(
    key: string,
    search: SpanSearch,
    read: () => Promise<SpanRow[] | undefined>,
  ): Promise<SpanRow[] | undefined> {
    try {
      return await read()
    } catch (error) {
      if (isRetryable(error) || !(error instanceof PipelineError)) throw error
      search.cannotRead(key)
      this.#options.log.error('query.object_unreadable', error, { key })
      return undefined
    }
  }
}

/** What one request has found so far. */
class SpanSearch {
  readonly traceId: string
  readonly #spans = new Map<string, SpanRow>()
  readonly #wanted: number
  readonly #spansMax: number
  readonly #tiers = new Set<'warm' | 'cold'>()
  readonly #unreadable: string[] = []
  #tier: 'warm' | 'cold' | undefined
  #date: string | undefined
  isPartial = false
  isUnlinkable = false

  constructor(decision: DecisionHead, spansMax: number) {
    this.traceId = decision.traceId
    this.#spansMax = spansMax
    // A series that goes on with another counts its own spans alone: how many there are nobody says.
    this.#wanted = decision.seriesFrom === undefined ? decision.spanCount : Number.POSITIVE_INFINITY
    this.isPartial = decision.seriesFrom !== undefined
  }

  /** Nothing more is to be found, or to be held. */
  get isOver(): boolean {
    return this.#spans.size >= Math.min(this.#wanted, this.#spansMax)
  }

  searched(tier: 'warm' | 'cold'): void {
    this.#tiers.add(tier)
  }

  cannotRead(key: string): void {
    this.#unreadable.push(key)
    this.isPartial = true
  }

  /** Of a span that two decisions brought the earlier one's counts, as within a segment. */
  add(rows: readonly SpanRow[], tier: 'warm' | 'cold', date: string): void {
    for (const row of rows) {
      const before = this.#spans.get(row.span_id)
      if (before === undefined && this.#spans.size >= this.#spansMax) {
        this.isPartial = true
        break
      }
      if (before === undefined || row.sampling_offset < before.sampling_offset) {
        this.#spans.set(row.span_id, row)
      }
    }
    if (rows.length === 0) return
    if (this.#tier !== 'cold') this.#tier = tier
    if (this.#date === undefined || date < this.#date) this.#date = date
  }

  result(): StoredSpans {
    return {
      spans: [...this.#spans.values()].sort(compareSpans),
      tiers: [...this.#tiers],
      tier: this.#tier,
      date: this.#date,
      complete: !this.isPartial && (this.#spans.size >= this.#wanted || !this.isOver),
      unreadable: this.#unreadable,
      unlinkable: this.isUnlinkable,
    }
  }
}

function keyIn(tier: 'warm' | 'cold', { date, partition, logId, offset }: SegmentName): string {
  return segmentKey(tier, Date.parse(`${date}T00:00:00Z`), partition, logId, offset)
}
