import {
  type BlobInfo,
  type BlobStore,
  dayOf,
  endOf,
  type HeldPeriod,
  type HotLife,
  type HotPeriod,
  type HotStore,
  type LifecycleProblem,
  parseHoldKey,
  parseIdIndexKey,
  parseSegmentKey,
  parseSnapshotKey,
  type Tier,
} from '@winnow/storage'

const dayMs = 86_400_000

/**
 * `overdue`: its tier's time is over · `older`: it holds what is older than its name says, and whose time is
 * over · `foreign`: by its name nobody can say how old it is, so that nothing deletes it · `lifecycle`: a
 * rule of the bucket is not as it is configured.
 */
export type AgeKind = 'overdue' | 'older' | 'foreign' | 'lifecycle'

export interface AgeFinding {
  readonly kind: AgeKind
  readonly key: string
  readonly bytes: number
  readonly says: string
}

/** Of one place: how much there is, and how old its oldest is. */
export interface AgedPlace {
  readonly where: string
  readonly objects: number
  readonly bytes: number
  /** Since when the oldest is there, by the day or hour in its name; of holds the first end. Null: there is nothing. */
  readonly oldest: string | null
  /** How long it may be there from the end of that day or hour; null for holds, of which each has an end of its own. */
  readonly lifeMs: number | null
}

export interface AgeReport {
  readonly v: 1
  readonly agrees: boolean
  readonly graceMs: number
  readonly places: readonly AgedPlace[]
  readonly counts: Readonly<Partial<Record<AgeKind, number>>>
  /** {@link ageFindingsMax} at most. */
  readonly findings: readonly AgeFinding[]
  /** Whether the bucket has rules of its own; null: no bucket. */
  readonly lifecycle: 'unsupported' | 'unused' | 'as configured' | 'other' | null
}

export interface AgeOptions {
  readonly hotLife: HotLife
  readonly livesMs: Readonly<Record<Tier, number>>
  readonly nowMs: number
  /** What a store may take to delete what is over. */
  readonly graceMs: number
  readonly onListed?: () => void
}

/** Findings that are named; of more there are counts. */
export const ageFindingsMax = 1_000

/** What the sweeper and the stores take: it looks every `writer.expireEvery`, and deletes so many at once. */
export const ageGraceDefaultMs = 3_600_000

/**
 * Looks for what is older than its tier allows, in every place where something of a trace is held: by the
 * names that stores and writers give, and beside them by what is in it, or when it was made.
 */
export class AgeAudit {
  readonly #options: AgeOptions
  readonly #places = new Map<string, { -readonly [Key in keyof AgedPlace]: AgedPlace[Key] }>()
  readonly #counts: Partial<Record<AgeKind, number>> = {}
  readonly #findings: AgeFinding[] = []
  #lifecycle: AgeReport['lifecycle'] = null

  constructor(options: AgeOptions) {
    this.#options = options
  }

  async hot(hot: HotStore): Promise<void> {
    const { hotLife } = this.#options
    this.#place('hot traces', hotLife.tracesMs)
    this.#place('hot text', hotLife.textMs)
    for (const held of await hot.periods()) {
      const { name, period, bytes } = held
      if (period === undefined) {
        this.#found('foreign', name, bytes, 'no hot store gives such a name')
        continue
      }
      const isText = period.kind === 'text'
      const lifeMs = isText ? hotLife.textMs : hotLife.tracesMs
      this.#saw(isText ? 'hot text' : 'hot traces', lifeMs, bytes, period.startMs)
      const what = isText ? 'the text of' : 'traces of'
      const isOver = this.#lookAt(name, bytes, endOf(period) + lifeMs, `${what} ${shown(period)}`)
      if (!isOver) this.#lookInto(held, period)
    }
  }

  async blobs(blobs: BlobStore): Promise<void> {
    const { livesMs } = this.#options
    for (const tier of ['ledger', 'warm', 'cold'] as const) {
      await this.#folder(blobs, tier, livesMs[tier], key => parseSegmentKey(key)?.date)
    }
    await this.#folder(blobs, 'ids', livesMs.ledger, key => parseIdIndexKey(key)?.lastDate)
    // A snapshot is replaced every few minutes while somebody decides; of a log that is no more the last one stays.
    await this.#folder(blobs, 'index', livesMs.ledger, (key, { modifiedAtMs }) =>
      parseSnapshotKey(key) === undefined ? undefined : dateText(modifiedAtMs),
    )
    await this.#holds(blobs)
  }

  /** `problems` undefined: the server has no such rules. */
  lifecycle(problems: readonly LifecycleProblem[] | undefined, isWanted: boolean): void {
    if (problems === undefined) this.#lifecycle = 'unsupported'
    else if (problems.length > 0) this.#lifecycle = 'other'
    else this.#lifecycle = isWanted ? 'as configured' : 'unused'
    for (const { rule, says } of problems ?? []) this.#found('lifecycle', rule, 0, says)
  }

  report(): AgeReport {
    return {
      v: 1,
      agrees: Object.keys(this.#counts).length === 0,
      graceMs: this.#options.graceMs,
      places: [...this.#places.values()],
      counts: this.#counts,
      findings: this.#findings,
      lifecycle: this.#lifecycle,
    }
  }

  /** A file or index of a day that has a trace of an earlier one would be dropped with the day. */
  #lookInto({ name, bytes, oldestMs }: HeldPeriod, period: HotPeriod): void {
    if (oldestMs === undefined || oldestMs >= period.startMs) return
    const dueMs = endOf(dayOf(oldestMs)) + this.#options.hotLife.tracesMs
    if (!this.#isOver(dueMs)) return
    const says = `it has a trace of ${time(oldestMs)}, which was due on ${time(dueMs)}`
    this.#found('older', name, bytes, says)
  }

  async #folder(
    blobs: BlobStore,
    folder: string,
    lifeMs: number,
    dateOf: (key: string, info: BlobInfo) => string | undefined,
  ): Promise<void> {
    this.#place(folder, lifeMs)
    for await (const info of blobs.list(`${folder}/`)) {
      this.#options.onListed?.()
      const { key, bytes, modifiedAtMs } = info
      const date = dateOf(key, info)
      if (date === undefined) {
        this.#found('foreign', key, bytes, 'no writer gives such a name')
        continue
      }
      const dayStartMs = Date.parse(`${date}T00:00:00Z`)
      this.#saw(folder, lifeMs, bytes, dayStartMs)
      if (this.#lookAt(key, bytes, dayStartMs + dayMs + lifeMs, `${folder} of ${date}`)) continue
      // A name may say a later day than what it holds can be of.
      const dueMs = endOf(dayOf(modifiedAtMs)) + lifeMs
      if (!this.#isOver(dueMs)) continue
      const says = `it was made on ${time(modifiedAtMs)}, so that it was due on ${time(dueMs)}`
      this.#found('older', key, bytes, says)
    }
  }

  /** Older than any tier allows, on purpose, until the end in its name. */
  async #holds(blobs: BlobStore): Promise<void> {
    this.#place('holds', null)
    for await (const { key, bytes } of blobs.list('holds/')) {
      this.#options.onListed?.()
      const name = parseHoldKey(key)
      if (name === undefined) {
        this.#found('foreign', key, bytes, 'no hold has such a name')
        continue
      }
      this.#saw('holds', null, bytes, name.untilMs)
      this.#lookAt(key, bytes, name.untilMs, `the hold of ${name.traceId}`)
    }
  }

  #lookAt(key: string, bytes: number, dueMs: number, what: string): boolean {
    if (!this.#isOver(dueMs)) return false
    this.#found('overdue', key, bytes, `${what} was due on ${time(dueMs)}`)
    return true
  }

  #isOver(dueMs: number): boolean {
    return dueMs + this.#options.graceMs <= this.#options.nowMs
  }

  #found(kind: AgeKind, key: string, bytes: number, says: string): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1
    if (this.#findings.length < ageFindingsMax) this.#findings.push({ kind, key, bytes, says })
  }

  #saw(where: string, lifeMs: number | null, bytes: number, startMs: number): void {
    const place = this.#place(where, lifeMs)
    place.objects++
    place.bytes += bytes
    const at = time(startMs)
    if (place.oldest === null || at < place.oldest) place.oldest = at
  }

  #place(where: string, lifeMs: number | null) {
    const known = this.#places.get(where)
    if (known !== undefined) return known
    const made = { where, objects: 0, bytes: 0, oldest: null, lifeMs }
    this.#places.set(where, made)
    return made as { -readonly [Key in keyof AgedPlace]: AgedPlace[Key] }
  }
}

function shown(period: HotPeriod): string {
  const text = time(period.startMs)
  return period.kind === 'text' ? text.slice(0, 13) : text.slice(0, 10)
}

function time(ms: number): string {
  return new Date(ms).toISOString()
}

function dateText(ms: number): string {
  return time(ms).slice(0, 10)
}
