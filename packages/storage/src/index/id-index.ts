import type { BlobStore } from '../blob-store.ts'
import { segmentKey } from '../segments/segment-key.ts'
import { type IdIndexName, idIndexKey, idIndexPrefix, parseIdIndexKey } from './index-key.ts'
import { nextTurnOfTheLoop, type Pause } from './sort-rows.ts'
import { corrupt, findRow, openSorted, rowKeyBytes, type SortedFile } from './sorted-file.ts'
import { SortedFileBuilder } from './sorted-file-builder.ts'

/** A segment of the ledger that an id index covers: its first offset, and its bytes. */
export interface IndexedSegment {
  readonly offset: number
  readonly bytes: number
}

/** Where the last decision that a day's ledger has of a trace lies. */
export interface LedgerPlace {
  /** Key of the segment. */
  readonly key: string
  readonly bytes: number
  /** Number of the row in it, from 0. */
  readonly row: number
}

/** Number of the segment 4, number of the row 4. */
const rowBytes = rowKeyBytes + 8

/**
 * Rows that one id index is made from, at most: 112 MiB while it is made. A partition that decides more
 * on a day, some fifty a second, has several indexes for it.
 */
export const idIndexRowsMax = 4_194_304

/** Gathers where every trace of some segments lies. */
export class IdIndexBuilder {
  readonly #rows = new SortedFileBuilder('ids', rowBytes, 64 * 1024)
  readonly #segments: IndexedSegment[] = []
  readonly #words = new Uint32Array(4)

  get rows(): number {
    return this.#rows.rows
  }

  /** In the order of the log; what `add` is given next lies in it. */
  beginSegment(segment: IndexedSegment): void {
    this.#segments.push(segment)
  }

  /** Of one trace the greatest row of the last segment stays. */
  add(tenant: string, traceId: string, row: number): void {
    for (let i = 0; i < 4; i++) {
      this.#words[i] = Number.parseInt(traceId.slice(8 * i, 8 * i + 8), 16)
    }
    const at = this.#rows.add(this.#words, tenant)
    this.#rows.view.setUint32(at, this.#segments.length - 1)
    this.#rows.view.setUint32(at + 4, row)
  }

  /**
   * Creates the index, or finds it there: of the same segments everybody makes the same bytes. `name`
   * without the offsets, which are those of the segments. At least one segment must have been given.
   */
  async write(
    store: BlobStore,
    name: Omit<IdIndexName, 'first' | 'last'>,
    pause: Pause = nextTurnOfTheLoop,
  ): Promise<{ readonly key: string; readonly created: boolean; readonly bytes: number }> {
    const first = this.#segments[0]?.offset ?? 0
    const last = this.#segments.at(-1)?.offset ?? 0
    const meta: IdIndexMeta = {
      ...name,
      first,
      last,
      segments: this.#segments.map(({ offset, bytes }) => [offset, bytes]),
    }
    const key = idIndexKey({ ...name, first, last })
    const file = await this.#rows.finish(meta, new Uint8Array(0), pause)
    return { key, created: await store.create(key, file), bytes: file.length }
  }
}

interface IdIndexMeta extends IdIndexName {
  /** Offset and bytes of each, by number. */
  readonly segments: readonly (readonly [offset: number, bytes: number])[]
}

export interface ListedIdIndex extends IdIndexName {
  readonly bytes: number
}

/** The id indexes of a partition, of every log, by date, log and offset; or of one day. One list. */
export async function listIdIndexes(
  store: BlobStore,
  partition: number,
  date = '',
): Promise<ListedIdIndex[]> {
  const names: ListedIdIndex[] = []
  for await (const { key, bytes } of store.list(`${idIndexPrefix(partition)}${date}`)) {
    const name = parseIdIndexKey(key)
    if (name !== undefined) names.push({ ...name, bytes })
  }
  return names
}

/** Looks at an id index: one ranged read, two where it is of many tenants. Undefined: no such key. */
export async function openIdIndex(store: BlobStore, key: string): Promise<SortedFile | undefined> {
  const file = await openSorted(store, key, 'ids')
  if (file === undefined) return undefined
  if (file.rowBytes !== rowBytes || idIndexKey(file.meta as IdIndexMeta) !== key) {
    throw corrupt(key, 'it is the index of another partition, day or log')
  }
  return file
}

/** At most one ranged read. Undefined: the segments it covers have no decision of the trace. */
export async function lookUpInIdIndex(
  store: BlobStore,
  index: SortedFile,
  tenant: string,
  traceId: string,
): Promise<LedgerPlace | undefined> {
  const found = await findRow(store, index, tenant, traceId)
  if (found === undefined) return undefined
  const { partition, date, logId, segments } = index.meta as IdIndexMeta
  const number = found.readUInt32BE(rowKeyBytes)
  const segment = segments[number]
  if (segment === undefined) throw corrupt(index.key, `it has no segment ${number}`)
  const [offset, bytes] = segment
  return {
    key: segmentKey('ledger', Date.parse(`${date}T00:00:00Z`), partition, logId, offset),
    bytes,
    row: found.readUInt32BE(rowKeyBytes + 4),
  }
}
