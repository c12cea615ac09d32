import { PipelineError } from '@winnow/runtime'
import {
  type BlobInfo,
  type BlobStore,
  type HotFrontier,
  parseHoldKey,
  parseIdIndexKey,
  parseSegmentKey,
  parseSnapshotKey,
  readAllLedger,
  readAllSpans,
  readSegmentMetadata,
  type SegmentMetadata,
  type SegmentName,
  type Tier,
} from '@winnow/storage'
import { type AuditedHot, auditHot, firstHotDate, type HotReport } from './hot-audit.ts'
import { percentOf } from './hot-sums.ts'
import type { LedgerPart } from './ledger-traces.ts'
import { type Place, places } from './places.ts'

const dayMs = 86_400_000

/**
 * `missing`: the ledger says that it exists · `orphan`: no ledger says so · `damaged`: it is not what was
 * written · `gap`, `overlap`: two segments of the ledger do not join · `overdue`: its tier's time is over ·
 * `foreign`: no name that a writer gives · `differing`: counts do not agree, of more than can be named.
 */
export const findingKinds = [
  'missing',
  'orphan',
  'damaged',
  'gap',
  'overlap',
  'overdue',
  'foreign',
  'differing',
] as const

export type FindingKind = (typeof findingKinds)[number]

export interface AuditFinding {
  readonly kind: FindingKind
  readonly key: string
  /** By the listing; 0 for what is not there. */
  readonly bytes: number
  readonly says: string
}

export interface AuditedFolder {
  readonly where: string
  readonly listedObjects: number
  readonly listedBytes: number
  /** Of these, what the ledger accounts for and what is as it was written. */
  readonly accountedObjects: number
  readonly accountedBytes: number
  /** Rows that the ledger says these segments have, and what they say of themselves; of indices 0. */
  readonly ledgerRows: number
  readonly rows: number
  /** Of objects that are smaller than the least that is billed, what they lack of it. */
  readonly smallBytes: number
}

/** With what does not agree, in bytes and per cent of what is accounted for. */
export interface ReportedFolder extends AuditedFolder {
  readonly differenceBytes: number
  readonly differencePercent: number
}

export interface AuditReport {
  readonly v: 1
  readonly agrees: boolean
  readonly folders: readonly ReportedFolder[]
  /** Null: it was not looked at. */
  readonly hot: HotReport | null
  /** How many of each kind; all of them, also those that are not shown. */
  readonly counts: Readonly<Partial<Record<FindingKind, number>>>
  /** {@link findingsMax} at most, in the order of the keys. */
  readonly findings: readonly AuditFinding[]
}

export interface AuditOptions {
  readonly livesMs: Readonly<Record<Tier, number>>
  readonly nowMs: number
  /** Reads every page of every segment; else its footer alone. */
  readonly isFull: boolean
  /** Compared with the ledger too. */
  readonly hot?: AuditedHot | undefined
  /** By default {@link underWayMs}. */
  readonly underWayMs?: number
  /** The least size of an object that is billed, by tier. */
  readonly objectMin?: Readonly<Partial<Record<Tier | 'index', number>>>
  /** Hears of every object, and of every segment of the ledger that is read for the hot store. */
  readonly onListed?: () => void
}

/** Findings that are named; of more there are counts. */
export const findingsMax = 1_000

/** A writer makes the ledger's segment first: what is younger may not have the others yet. */
export const underWayMs = 15 * 60_000

/** Stores with rules of their own delete once a day, and later than they say. */
export const overdueGraceMs = 2 * dayMs

/**
 * Puts the store's own listing beside what the ledger says must be there. The three tiers are listed in
 * step, so that memory does not grow with the store.
 */
export async function audit(blobs: BlobStore, options: AuditOptions): Promise<AuditReport> {
  const ledger = new Audit(blobs, options)
  for await (const place of places(blobs, options.onListed)) await ledger.look(place)
  for (const [where, isOurs] of [
    ['ids/', (key: string) => parseIdIndexKey(key) !== undefined],
    ['index/', (key: string) => parseSnapshotKey(key) !== undefined],
    ['holds/', (key: string) => parseHoldKey(key) !== undefined],
  ] as const) {
    for await (const object of blobs.list(where)) {
      options.onListed?.()
      ledger.name(where, object, isOurs(object.key))
    }
  }
  return ledger.report(await ledger.lookAtHot())
}

class Audit {
  readonly #blobs: BlobStore
  readonly #options: AuditOptions
  readonly #folders = new Map<string, Writable<AuditedFolder>>()
  readonly #counts: Partial<Record<FindingKind, number>> = {}
  readonly #findings: AuditFinding[] = []
  /** `<partition> <log id>` to the last segment of the ledger that was looked at. */
  readonly #last = new Map<string, { readonly key: string; readonly b: number }>()
  /** Of the days that hot holds, those of which all is written. */
  readonly #parts: LedgerPart[] = []
  readonly #starts: HotFrontier['ends'][number][] = []
  /** Decisions of the ledger that hot's writer has yet to put. */
  #behind = 0
  /** By {@link logOf}: whether one is under way, and those before it that were made anew just now. */
  readonly #logs = new Map<string, { isEnded: boolean; readonly anew: LedgerPart[] }>()
  readonly #firstHotDate: string

  constructor(blobs: BlobStore, options: AuditOptions) {
    this.#blobs = blobs
    this.#options = options
    const { hot, nowMs } = options
    this.#firstHotDate = hot === undefined ? '9999' : firstHotDate({ hotLife: hot.life, nowMs })
    for (const where of ['ledger/', 'warm/', 'cold/', 'ids/', 'index/', 'holds/'])
      this.#folder(where)
  }

  /** Of a folder whose objects only have names to be judged by. */
  name(where: string, object: BlobInfo, isOurs: boolean): void {
    this.#listed(where, object)
    if (isOurs) this.#accounted(where, object)
    else this.#foreign(object)
  }

  async look({ objects }: Place): Promise<void> {
    for (const [tier, object] of objects) {
      this.#listed(`${tier}/`, object)
      if (parseSegmentKey(object.key) === undefined) this.#foreign(object)
      else this.#lookAtAge(tier, object)
    }
    const known = new Map([...objects].filter(([, { key }]) => parseSegmentKey(key) !== undefined))
    const ledger = known.get('ledger')
    if (ledger === undefined) {
      for (const [tier, object] of known) await this.#lookAtOrphan(tier, object)
      return
    }
    const name = parseSegmentKey(ledger.key) as SegmentName
    const said = await this.#read('ledger', ledger)
    if (said === undefined) {
      // Where it ends nobody can say, nor what the others must have.
      this.#last.delete(logOf(name))
      return
    }
    this.#accounted('ledger/', ledger)
    this.#rows('ledger', said.rows.ledger, said.rows.ledger)
    this.#lookAtRange(ledger.key, name, said)
    if (name.date >= this.#firstHotDate) {
      const { a, b } = said
      this.#believe({ ...name, ...ledger, a, b, hasErased: said.erasures !== undefined })
    }
    for (const tier of ['warm', 'cold'] as const) {
      await this.#lookAtTier(tier, known.get(tier), ledger, name, said)
    }
  }

  /**
   * A log's segments up to the first that is under way. An erasure makes an object younger than it is: how old
   * it was a later one says, for they are made one after another.
   */
  #believe(part: LedgerPart): void {
    const name = logOf(part)
    let log = this.#logs.get(name)
    if (log === undefined) {
      log = { isEnded: false, anew: [] }
      this.#logs.set(name, log)
      const { partition, logId, a } = part
      this.#starts.push({ partition, logId, offset: a - 1 })
    }
    const next = this.#options.hot?.next?.(part)
    if (next !== undefined && next <= part.b) {
      this.#behind += part.b + 1 - Math.max(part.a, next)
      log.isEnded = true
    }
    if (log.isEnded) return
    if (!this.#isUnderWay(part)) {
      for (const one of log.anew.splice(0)) this.#parts.push(one)
      this.#parts.push(part)
    } else if (part.hasErased) log.anew.push(part)
    else log.isEnded = true
  }

  async #lookAtOrphan(tier: Tier, object: BlobInfo): Promise<void> {
    // A writer may have made both since the ledger's page was listed.
    const ledgerKey = object.key.replace(tier, 'ledger')
    const { date = '' } = parseSegmentKey(object.key) ?? {}
    // A store that deletes by rules of its own may begin with either.
    const isOver = this.#isOver('ledger', date)
    if (isOver || (await this.#blobs.head(ledgerKey)) !== undefined) {
      this.#accounted(`${tier}/`, object)
    } else this.#found('orphan', object.key, object.bytes, 'no segment of the ledger has its range')
  }

  async lookAtHot(): Promise<HotReport | null> {
    const { hot, livesMs, nowMs, onListed } = this.#options
    if (hot === undefined) return null
    return auditHot({
      blobs: this.#blobs,
      hot: hot.store,
      parts: this.#parts,
      starts: this.#starts,
      behind: this.#behind,
      hotLife: hot.life,
      ledgerLifeMs: livesMs.ledger,
      underWayMs: this.#underWayMs,
      nowMs,
      found: (...finding) => this.#found(...finding),
      ...(onListed && { onRead: onListed }),
    })
  }

  report(hot: HotReport | null): AuditReport {
    const folders = [...this.#folders.values()].map(folder => {
      const differenceBytes = folder.listedBytes - folder.accountedBytes
      const differencePercent = percentOf(differenceBytes, folder.accountedBytes)
      return { ...folder, differenceBytes, differencePercent }
    })
    const agrees = Object.keys(this.#counts).length === 0
    return { v: 1, agrees, folders, hot, counts: this.#counts, findings: this.#findings }
  }

  async #lookAtTier(
    tier: 'warm' | 'cold',
    object: BlobInfo | undefined,
    ledger: BlobInfo,
    name: SegmentName,
    said: SegmentMetadata,
  ): Promise<void> {
    const rows = said.rows[tier]
    if (object === undefined) {
      if (rows === 0 || this.#isUnderWay(ledger) || this.#isOver(tier, name.date)) return
      const key = ledger.key.replace(/^ledger/, tier)
      this.#rows(tier, rows, 0)
      this.#found('missing', key, 0, `the ledger says that it has ${rows} rows`)
      return
    }
    const own = await this.#read(tier, object)
    this.#rows(tier, rows, own?.rows[tier] ?? 0)
    if (own === undefined) return
    const isSame = own.a === said.a && own.b === said.b && own.rows[tier] === rows
    if (isSame) this.#accounted(`${tier}/`, object)
    else {
      const says = `it has records ${own.a} to ${own.b} in ${own.rows[tier]} rows, the ledger says ${said.a} to ${said.b} in ${rows}`
      this.#found('damaged', object.key, object.bytes, says)
    }
  }

  /** Undefined: it is damaged, and that is said. */
  async #read(tier: Tier, { key, bytes }: BlobInfo): Promise<SegmentMetadata | undefined> {
    try {
      const metadata = await readSegmentMetadata(this.#blobs, key)
      if (metadata !== undefined && this.#options.isFull) await this.#readWhole(tier, key)
      // What is deleted while it is looked at was due.
      return metadata
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code !== 'DATA_CORRUPT') throw error
      const text = error.message.replace(/^\[\w+\] /, '')
      const says = text.startsWith(key) ? text.slice(key.length).replace(/^[: ]+/, '') : text
      this.#found('damaged', key, bytes, says)
      return undefined
    }
  }

  async #readWhole(tier: Tier, key: string): Promise<void> {
    if (tier === 'ledger') await readAllLedger(this.#blobs, key)
    else await readAllSpans(this.#blobs, key)
  }

  #lookAtRange(key: string, name: SegmentName, { a, b }: SegmentMetadata): void {
    const log = logOf(name)
    const last = this.#last.get(log)
    this.#last.set(log, { key, b: Math.max(b, last?.b ?? b) })
    if (last === undefined || a === last.b + 1) return
    const says = `it begins with record ${a}, ${last.key} ends with ${last.b}`
    this.#found(a > last.b ? 'gap' : 'overlap', key, 0, says)
  }

  #lookAtAge(tier: Tier, { key, bytes }: BlobInfo): void {
    const date = parseSegmentKey(key)?.date ?? ''
    if (!this.#isOver(tier, date, overdueGraceMs)) return
    const days = this.#options.livesMs[tier] / dayMs
    this.#found('overdue', key, bytes, `${tier} keeps ${days} days after ${date}`)
  }

  #isUnderWay({ modifiedAtMs }: Pick<BlobInfo, 'modifiedAtMs'>): boolean {
    return this.#options.nowMs - modifiedAtMs < this.#underWayMs
  }

  get #underWayMs(): number {
    return this.#options.underWayMs ?? underWayMs
  }

  /** Whether a tier's time is over for the segments of a date. */
  #isOver(tier: Tier, date: string, graceMs = 0): boolean {
    const { livesMs, nowMs } = this.#options
    return Date.parse(`${date}T00:00:00Z`) + dayMs + livesMs[tier] + graceMs <= nowMs
  }

  #foreign({ key, bytes }: BlobInfo): void {
    this.#found('foreign', key, bytes, 'no writer gives such a name')
  }

  #found(kind: FindingKind, key: string, bytes: number, says: string): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1
    if (this.#findings.length < findingsMax) this.#findings.push({ kind, key, bytes, says })
  }

  #listed(where: string, { bytes }: BlobInfo): void {
    const folder = this.#folder(where)
    folder.listedObjects++
    folder.listedBytes += bytes
    const tier = parseTier(where)
    folder.smallBytes += Math.max(0, (this.#options.objectMin?.[tier] ?? 0) - bytes)
  }

  #rows(tier: Tier, ledgerRows: number, rows: number): void {
    const folder = this.#folder(`${tier}/`)
    folder.ledgerRows += ledgerRows
    folder.rows += rows
  }

  #accounted(where: string, { bytes }: BlobInfo): void {
    const folder = this.#folder(where)
    folder.accountedObjects++
    folder.accountedBytes += bytes
  }

  #folder(where: string): Writable<AuditedFolder> {
    const known = this.#folders.get(where)
    if (known !== undefined) return known
    const made = {
      where,
      listedObjects: 0,
      listedBytes: 0,
      accountedObjects: 0,
      accountedBytes: 0,
      ledgerRows: 0,
      rows: 0,
      smallBytes: 0,
    }
    this.#folders.set(where, made)
    return made
  }
}

/** Segments of one log and partition follow each other. */
function logOf({ partition, logId }: Pick<SegmentName, 'partition' | 'logId'>): string {
  return `${partition} ${logId}`
}

/** Of a folder: ids, snapshots and holds are billed as one. */
function parseTier(where: string): Tier | 'index' {
  const name = where.slice(0, -1)
  return name === 'ledger' || name === 'warm' || name === 'cold' ? name : 'index'
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }
