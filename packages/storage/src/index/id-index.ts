import { PipelineError } from '@winnow/runtime'
import type { BlobStore } from '../blob-store.ts'
import { dateOf, segmentKey } from '../segments/segment-key.ts'
import {
  everyId,
  type IdIndexFileName,
  type IdIndexName,
  type IdRange,
  idIndexKey,
} from './index-key.ts'
import { nextTurnOfTheLoop, type Pause } from './sort-rows.ts'
import {
  blocksBetween,
  corrupt,
  findRow,
  openSorted,
  readBlocks,
  rowKeyBytes,
  rowsBefore,
  type SortedFile,
} from './sorted-file.ts'
import { SortedFileBuilder } from './sorted-file-builder.ts'

/** A segment of the ledger that an id index covers: its UTC date, its first offset, and its bytes. */
export interface IndexedSegment {
  readonly date: string
  readonly offset: number
  readonly bytes: number
}

/** Where the last decision that the indexed days' ledger has of a trace lies. */
export interface LedgerPlace {
  /** Key of the segment. */
  readonly key: string
  /** UTC date in its name. */
  readonly date: string
  readonly bytes: number
  /** Number of the row in it, from 0. */
  readonly row: number
}

/**
 * Offset of the segment 6, its day since 1970 2, number of the row in it 4, bytes of the segment 4. A row says
 * by itself where it points to, so that several indexes become one by their rows alone.
 */
export const idRowBytes = rowKeyBytes + 16

/**
 * Rows that one file of an id index is made from, at most: 108 MiB while it is made. An index of more has
 * several, each of some ids.
 */
export const idIndexRowsMax = 3_145_728

/** Files of one index, at most: of 200 million rows, 7 GB. A partition of more has one index more. */
export const idIndexFilesMax = 64

/** Blocks of an index that are read at once while it becomes part of another: 2.3 MiB. */
const blocksRead = 16

/** The last day that a row can name: 2149-06-06. */
const dayNumberMax = 0xffff

const dayMs = 86_400_000

/** Gathers where every trace of some segments lies, or those that have an id of a range. */
export class IdIndexBuilder {
  readonly #rows: SortedFileBuilder
  readonly #ids: IdRange
  readonly #parts: IdIndexPart[] = []
  readonly #words = new Uint32Array(4)
  #covered: IdIndexPart | undefined
  #segment: IndexedSegment | undefined
  #day = 0

  /** `rowsExpected` avoids copies; more may come. Of the indexes that are added those of `ids` are taken. */
  constructor(rowsExpected = 64 * 1024, ids: IdRange = everyId) {
    this.#rows = new SortedFileBuilder('ids', idRowBytes, Math.max(1, rowsExpected))
    this.#ids = ids
  }

  get rows(): number {
    return this.#rows.rows
  }

  /** In the order of the log; what `add` is given next lies in it. */
  beginSegment(segment: IndexedSegment): void {
    const { date, offset } = segment
    this.#segment = segment
    this.#day = dayNumberOf(date)
    this.#cover({ date, lastDate: date, first: offset, last: offset })
  }

  /** Of one trace the greatest row of the last segment stays. */
  add(tenant: string, traceId: string, row: number): void {
    if (this.#segment === undefined) throw new TypeError('a row before its segment')
    for (let i = 0; i < 4; i++) {
      this.#words[i] = Number.parseInt(traceId.slice(8 * i, 8 * i + 8), 16)
    }
    const { offset, bytes } = this.#segment
    this.#add(tenant, { offset, day: this.#day, row, bytes })
  }

  /**
   * The rows of another index of the same log, but for those of days before `sinceDate`, whose segments are
   * gone. `files` are its files, opened. STORE_UNAVAILABLE where one of them is gone itself.
   */
  async addIndex(
    store: BlobStore,
    { date, lastDate, first, last }: IdIndexName,
    files: readonly SortedFile[],
    sinceDate: string,
    pause: Pause = nextTurnOfTheLoop,
  ): Promise<void> {
    this.#parts.push({ date, lastDate, first, last })
    this.#cover({ date: date < sinceDate ? sinceDate : date, lastDate, first, last })
    const sinceDay = dayNumberOf(sinceDate)
    for (const file of files) {
      for await (const rows of rowsOf(store, file, this.#ids)) {
        for (let at = 0; at < rows.length; at += idRowBytes) {
          const place = placeAt(rows, at)
          if (place.day < sinceDay) continue
          for (let word = 0; word < 4; word++) this.#words[word] = rows.readUInt32BE(at + 4 * word)
          this.#add(file.tenants[rows.readUInt32BE(at + 16)] ?? '', place)
        }
        await pause()
      }
    }
  }

  /**
   * Creates the index, or finds it there: of the same segments everybody makes the same bytes. Its name is that
   * of what it covers: a segment or an index must have been given.
   */
  async write(
    store: BlobStore,
    { partition, logId }: Pick<IdIndexName, 'partition' | 'logId'>,
    pause: Pause = nextTurnOfTheLoop,
  ): Promise<{ readonly key: string; readonly created: boolean; readonly bytes: number }> {
    if (this.#covered === undefined) throw new TypeError('an index of nothing')
    const meta: IdIndexMeta = {
      partition,
      logId,
      ...this.#covered,
      ...(this.#ids !== everyId && { ids: this.#ids }),
      ...(this.#parts.length > 0 && { parts: this.#parts.map(partToJson) }),
    }
    const key = idIndexKey(meta)
    const file = await this.#rows.finish(meta, new Uint8Array(0), pause)
    return { key, created: await store.create(key, file), bytes: file.length }
  }

  #add(tenant: string, { offset, day, row, bytes }: RowPlace): void {
    const at = this.#rows.add(this.#words, tenant)
    const { view } = this.#rows
    view.setUint16(at, Math.floor(offset / 2 ** 32))
    view.setUint32(at + 2, offset >>> 0)
    view.setUint16(at + 6, day)
    view.setUint32(at + 8, row)
    view.setUint32(at + 12, bytes)
  }

  #cover(more: IdIndexPart): void {
    const held = this.#covered
    this.#covered =
      held === undefined
        ? more
        : {
            date: held.date < more.date ? held.date : more.date,
            lastDate: held.lastDate > more.lastDate ? held.lastDate : more.lastDate,
            first: Math.min(held.first, more.first),
            last: Math.max(held.last, more.last),
          }
  }
}

/** What the name of an index says of the days and segments that it covers. */
type IdIndexPart = Pick<IdIndexName, 'date' | 'lastDate' | 'first' | 'last'>
type PartJson = readonly [date: string, lastDate: string, first: number, last: number]

interface IdIndexMeta extends IdIndexFileName {
  /** The indexes that it was made from: what it has they need not have any more. */
  readonly parts?: readonly PartJson[]
}

function partToJson({ date, lastDate, first, last }: IdIndexPart): PartJson {
  return [date, lastDate, first, last]
}

/** The rows of a file that have an id of a range, some megabytes at a time. */
async function* rowsOf(store: BlobStore, file: SortedFile, ids: IdRange): AsyncIterable<Buffer> {
  const from = firstKeyOf(ids.from)
  const before = ids.before === everyId.before ? undefined : firstKeyOf(ids.before)
  const { first, end } = blocksBetween(file, from, before)
  for (let block = first; block < end; block += blocksRead) {
    const rows = await readBlocks(store, file, block, Math.min(blocksRead, end - block))
    const to =
      before === undefined ? rows.length : rowsBefore(rows, idRowBytes, before) * idRowBytes
    yield rows.subarray(rowsBefore(rows, idRowBytes, from) * idRowBytes, to)
  }
}

/** The key before every row whose id begins with these digits. */
function firstKeyOf(digits: string): Buffer {
  return Buffer.from(digits.padEnd(2 * rowKeyBytes, '0'), 'hex')
}

/** The indexes that one was made from; none: it was made from segments. */
export function partsOfIdIndex(index: SortedFile): IdIndexName[] {
  const { partition, logId, parts = [] } = index.meta as IdIndexMeta
  return parts.map(([date, lastDate, first, last]) => ({
    partition,
    logId,
    date,
    lastDate,
    first,
    last,
  }))
}

/** Looks at a file of an id index: one ranged read, two where it is of many tenants. Undefined: no such key. */
export async function openIdIndex(store: BlobStore, key: string): Promise<SortedFile | undefined> {
  const file = await openSorted(store, key, 'ids')
  if (file === undefined) return undefined
  if (file.rowBytes !== idRowBytes || idIndexKey(file.meta as IdIndexMeta) !== key) {
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
  const { partition, logId } = index.meta as IdIndexMeta
  const { offset, day, row, bytes } = placeAt(found, 0)
  const key = segmentKey('ledger', day * dayMs, partition, logId, offset)
  return { key, date: dateOf(day * dayMs), bytes, row }
}

interface RowPlace {
  readonly offset: number
  readonly day: number
  readonly row: number
  readonly bytes: number
}

function placeAt(rows: Buffer, at: number): RowPlace {
  const place = at + rowKeyBytes
  return {
    offset: rows.readUIntBE(place, 6),
    day: rows.readUInt16BE(place + 6),
    row: rows.readUInt32BE(place + 8),
    bytes: rows.readUInt32BE(place + 12),
  }
}

function dayNumberOf(date: string): number {
  const day = Date.parse(`${date}T00:00:00Z`) / dayMs
  if (Number.isInteger(day) && day >= 0 && day <= dayNumberMax) return day
  throw new PipelineError('CONFIG_INVALID', `no id index can name the day ${date}`)
}
