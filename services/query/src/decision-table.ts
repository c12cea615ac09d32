// Hot: one row for every trace that is remembered, met once a counting decision.
import type { Verdict } from '@winnow/model'
import type { DecisionFacts } from './decision-facts.ts'
import { NameTable } from './name-table.ts'
import { traceIdOfWords, traceWords } from './trace-words.ts'

/** What is remembered of a trace's last counting decision; the rest is fetched where it lies. */
export interface FoldEntry {
  readonly tenant: string
  readonly traceId: string
  readonly partition: number
  readonly offset: number
  readonly verdict: Verdict
  readonly gone: boolean
  /** No slice has come yet: only evaluations or requests. */
  readonly isAwaiting: boolean
  readonly lastSliceAtMs: number
  readonly primary: string
  readonly matched: readonly string[]
  readonly service: string | null
  readonly operation: string | null
  readonly variant: string | null
  readonly durationMs: number | null
  readonly decidedAtMs: number
}

/**
 * The last counting decisions of as many traces as fit into a number of bytes, by (tenant, trace id), in
 * columns: an object a trace would be marked again by every garbage collection.
 *
 *   bucket ─▶ row ─▶ row        `inBucket`, one plus the row; 0 ends the list
 *   oldest ◀─▶ … ◀─▶ newest     `older`, `newer`: the order in which they were decided last
 *
 * Texts are numbers of a table that holds what is used; a quarter of the bytes is for them.
 */
export class DecisionTable {
  readonly #names = new NameTable()
  readonly #rowsMax: number
  readonly #namesBytesMax: number
  readonly #seed: number
  readonly #words = new Uint32Array(4)
  #columns: Columns
  #rows = 0
  #size = 0
  #firstFree = 0
  #oldest = 0
  #newest = 0
  #forgotten = 0
  /** As many as there are tenants with keys. */
  readonly #forgottenOf = new Map<string, number>()

  /** `seed`: 32 random bits, because clients choose trace ids and must not choose their places. */
  constructor(bytesMax: number, seed: number) {
    this.#namesBytesMax = Math.floor(bytesMax / 4)
    this.#rowsMax = Math.max(1, Math.floor((bytesMax - this.#namesBytesMax) / rowBytes) - 1)
    this.#seed = seed
    this.#columns = columnsOf(Math.min(rowsMin, this.#rowsMax))
  }

  get size(): number {
    return this.#size
  }

  /** Memory of all. */
  get bytes(): number {
    return this.#names.bytes + rowBytes * this.#columns.flags.length
  }

  /** Traces that were pushed out because there was no room. */
  get forgotten(): number {
    return this.#forgotten
  }

  forgottenOf(tenant: string): number {
    return this.#forgottenOf.get(tenant) ?? 0
  }

  /** A trace that is decided again becomes the newest. One whose id is none nobody can ask for. */
  put(partition: number, offset: number, decision: DecisionFacts): void {
    if (!traceWords(decision.traceId, this.#words)) return
    const tenant = this.#names.take(decision.tenant)
    const known = this.#find(tenant)
    if (known !== 0) this.#remove(known)
    const row = this.#newRow()
    this.#fill(row, tenant, partition, offset, decision)
    this.#link(row)
    while (this.#names.bytes > this.#namesBytesMax && this.#size > 1) this.#forgetOldest()
  }

  find(tenant: string, traceId: string): FoldEntry | undefined {
    const number = this.#names.find(tenant)
    if (number === undefined || !traceWords(traceId, this.#words)) return undefined
    const row = this.#find(number)
    return row === 0 ? undefined : this.#entry(row, this.#matchedOf(row))
  }

  /** Of one tenant, oldest decision first. Nothing may be put meanwhile. */
  *entries(tenant: string): IterableIterator<FoldEntry> {
    const number = this.#names.find(tenant)
    if (number === undefined) return
    const sets = new Map<number, readonly string[]>()
    const { newer, tenant: tenants, matched } = this.#columns
    for (let row = this.#oldest; row !== 0; row = newer[row] as number) {
      if (tenants[row] !== number) continue
      const set = matched[row] as number
      let names = sets.get(set)
      if (names === undefined) {
        names = this.#matchedOf(row)
        sets.set(set, names)
      }
      yield this.#entry(row, names)
    }
  }

  #fill(
    row: number,
    tenant: number,
    partition: number,
    offset: number,
    decision: DecisionFacts,
  ): void {
    const columns = this.#columns
    const names = this.#names
    const { verdict, gone, sliceCount } = decision
    columns.ids.set(this.#words, 4 * row)
    columns.tenant[row] = tenant
    columns.partition[row] = partition
    columns.offset[row] = offset
    columns.flags[row] =
      (verdict === 'keep' ? keptFlag : 0) |
      (gone ? goneFlag : 0) |
      (sliceCount === 0 ? awaitingFlag : 0)
    columns.lastSliceAtMs[row] = decision.lastSpanAtMs ?? 0
    columns.decidedAtMs[row] = decision.decidedAtMs
    columns.durationMs[row] = decision.durationMs ?? Number.NaN
    columns.primary[row] = names.take(decision.primary)
    columns.matched[row] = names.take(decision.matched)
    columns.service[row] = names.take(decision.service)
    columns.operation[row] = names.take(decision.operation)
    columns.variant[row] = names.take(decision.variant)
  }

  #entry(row: number, matched: readonly string[]): FoldEntry {
    const columns = this.#columns
    const names = this.#names
    const flags = columns.flags[row] as number
    const durationMs = columns.durationMs[row] as number
    return {
      tenant: names.of(columns.tenant[row] as number) ?? '',
      traceId: traceIdOfWords(columns.ids, 4 * row),
      partition: columns.partition[row] as number,
      offset: columns.offset[row] as number,
      verdict: (flags & keptFlag) !== 0 ? 'keep' : 'drop',
      gone: (flags & goneFlag) !== 0,
      isAwaiting: (flags & awaitingFlag) !== 0,
      lastSliceAtMs: columns.lastSliceAtMs[row] as number,
      primary: names.of(columns.primary[row] as number) ?? '',
      matched,
      service: names.of(columns.service[row] as number),
      operation: names.of(columns.operation[row] as number),
      variant: names.of(columns.variant[row] as number),
      durationMs: Number.isNaN(durationMs) ? null : durationMs,
      decidedAtMs: columns.decidedAtMs[row] as number,
    }
  }

  #matchedOf(row: number): readonly string[] {
    const text = this.#names.of(this.#columns.matched[row] as number) ?? ''
    return text.split('\n').slice(0, -1)
  }

  /** The row of the trace whose id `#words` has; 0: there is none. */
  #find(tenant: number): number {
    const { ids, inBucket, tenant: tenants, buckets } = this.#columns
    const words = this.#words
    for (let row = buckets[this.#bucketOf(words, 0)] as number; row !== 0; ) {
      const is =
        ids[4 * row + 3] === words[3] &&
        ids[4 * row + 2] === words[2] &&
        ids[4 * row + 1] === words[1] &&
        ids[4 * row] === words[0] &&
        tenants[row] === tenant
      if (is) return row
      row = inBucket[row] as number
    }
    return 0
  }

  /** At the limit the oldest makes room. */
  #newRow(): number {
    if (this.#firstFree === 0 && this.#rows === this.#rowsMax) this.#forgetOldest()
    const free = this.#firstFree
    if (free !== 0) {
      this.#firstFree = this.#columns.newer[free] as number
      return free
    }
    if (this.#rows + 1 >= this.#columns.flags.length) this.#grow()
    return ++this.#rows
  }

  #link(row: number): void {
    const { ids, inBucket, buckets, older, newer } = this.#columns
    const bucket = this.#bucketOf(ids, 4 * row)
    inBucket[row] = buckets[bucket] as number
    buckets[bucket] = row
    older[row] = this.#newest
    newer[row] = 0
    if (this.#newest === 0) this.#oldest = row
    else newer[this.#newest] = row
    this.#newest = row
    this.#size++
  }

  #forgetOldest(): void {
    const tenant = this.#names.of(this.#columns.tenant[this.#oldest] as number) ?? ''
    this.#forgottenOf.set(tenant, this.forgottenOf(tenant) + 1)
    this.#remove(this.#oldest)
    this.#forgotten++
  }

  #remove(row: number): void {
    const { ids, inBucket, buckets, older, newer } = this.#columns
    const bucket = this.#bucketOf(ids, 4 * row)
    let at = buckets[bucket] as number
    if (at === row) buckets[bucket] = inBucket[row] as number
    else {
      while (inBucket[at] !== row) at = inBucket[at] as number
      inBucket[at] = inBucket[row] as number
    }
    const before = older[row] as number
    const after = newer[row] as number
    if (before === 0) this.#oldest = after
    else newer[before] = after
    if (after === 0) this.#newest = before
    else older[after] = before
    this.#releaseNames(row)
    newer[row] = this.#firstFree
    this.#firstFree = row
    this.#size--
  }

  #releaseNames(row: number): void {
    const { tenant, primary, matched, service, operation, variant } = this.#columns
    for (const column of [tenant, primary, matched, service, operation, variant]) {
      this.#names.release(column[row] as number)
    }
  }

  #bucketOf(words: Uint32Array, at: number): number {
    let hash = Math.imul(this.#seed ^ (words[at] as number), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15) ^ (words[at + 1] as number), 0xc2b2ae35)
    hash = Math.imul(hash ^ (hash >>> 13) ^ (words[at + 2] as number), 0x27d4eb2f)
    hash = Math.imul(hash ^ (hash >>> 14) ^ (words[at + 3] as number), 0x9e3779b1)
    return ((hash ^ (hash >>> 16)) >>> 0) % this.#columns.buckets.length
  }

  #grow(): void {
    const old = this.#columns
    const length = Math.min(2 * old.flags.length, this.#rowsMax + 1)
    this.#columns = columnsOf(length - 1)
    for (const name of columnNames) this.#columns[name].set(old[name] as never)
    const { ids, inBucket, buckets } = this.#columns
    for (let row = this.#oldest; row !== 0; row = old.newer[row] as number) {
      const bucket = this.#bucketOf(ids, 4 * row)
      inBucket[row] = buckets[bucket] as number
      buckets[bucket] = row
    }
  }
}

const keptFlag = 1
const goneFlag = 2
const awaitingFlag = 4

const rowsMin = 1024

type Columns = ReturnType<typeof columnsOf>

/** Row 0 is none. */
function columnsOf(rows: number) {
  const length = rows + 1
  return {
    ids: new Uint32Array(4 * length),
    offset: new Float64Array(length),
    lastSliceAtMs: new Float64Array(length),
    decidedAtMs: new Float64Array(length),
    durationMs: new Float64Array(length),
    tenant: new Uint32Array(length),
    primary: new Uint32Array(length),
    matched: new Uint32Array(length),
    service: new Uint32Array(length),
    operation: new Uint32Array(length),
    variant: new Uint32Array(length),
    older: new Uint32Array(length),
    newer: new Uint32Array(length),
    inBucket: new Uint32Array(length),
    buckets: new Uint32Array(length),
    partition: new Uint16Array(length),
    flags: new Uint8Array(length),
  }
}

/** All but the buckets, which are filled anew. */
const columnNames = (Object.keys(columnsOf(0)) as (keyof Columns)[]).filter(
  name => name !== 'buckets' && name !== 'inBucket',
)

/** Of all columns. */
export const rowBytes = Object.values(columnsOf(0)).reduce(
  (sum, { byteLength }) => sum + byteLength,
  0,
)
