import { Gate } from '@winnow/runtime'
import { type BlobStore, dateOf, type ListedIdIndex, listSegments } from '@winnow/storage'
import { indexSegments, openSegments, startOf } from './index-segments.ts'
import { type IdIndexerOptions, type IndexedLedger, indexesOf } from './indexed-ledger.ts'
import { mergeIdIndexes } from './merge-id-indexes.ts'

const dayMs = 86_400_000

export type { IdIndexerOptions } from './indexed-ledger.ts'

/** How long after a day the clock says that a silent partition has no more of it to come. */
export const silentSlackMs = 3_600_000

/** Instead of a day: every segment has its index. Sorts behind every day. */
const nothingLeft = '~'

/**
 * Makes the id indexes of a writer's partitions, day by day: of a UTC day once a segment of a later day
 * is there, for then no more of it come, or once a partition has been silent into the next: what its log
 * forgets meanwhile would be found nowhere. What comes of a day all the same gets an index of its own. Then
 * the indexes of days are made one of many days, so that a look-up reads few. It runs beside the segments and
 * never holds them up; what fails or is interrupted is done again with the next segment, or by the next owner,
 * and done twice it is one.
 */
export class IdIndexer {
  readonly #options: IdIndexerOptions
  /** One at a time, whatever the partition: an index takes up to 108 MiB while it is made. */
  readonly #gate = new Gate(1)
  /** By partition and log: every day before it is indexed. */
  readonly #before = new Map<string, string>()
  /** By partition and log: the last day that may have segments without index; none: not looked at yet. */
  readonly #last = new Map<string, string>()
  /** Partitions and logs of which this process has looked for days that have lost their index. */
  readonly #looked = new Set<string>()
  readonly #running = new Map<string, Promise<boolean>>()

  constructor(options: IdIndexerOptions) {
    this.#options = options
  }

  /** The partition is this writer's from now on; what others have written meanwhile is not known. */
  taken(partition: number, logId: string): void {
    this.#last.delete(`${partition}/${logId}`)
  }

  /** A segment of the ledger is there whose first record was appended at `appendedAtMs`. */
  written(partition: number, logId: string, appendedAtMs: number): void {
    const date = dateOf(appendedAtMs)
    const key = `${partition}/${logId}`
    this.#last.set(key, date)
    if (date <= (this.#before.get(key) ?? '') || this.#running.has(key)) return
    void this.#run(key, date, { ...this.#options, partition, logId }).then(isDone => {
      if (isDone) this.#before.set(key, date)
    })
  }

  /** Every decision of the partition's log is in a segment at `nowMs`. To be told again and again. */
  silent(partition: number, logId: string, nowMs: number): void {
    const date = dateOf(nowMs - silentSlackMs)
    const key = `${partition}/${logId}`
    const last = this.#last.get(key)
    if (date <= (last ?? '') || this.#running.has(key)) return
    // Should it fail, the next day or the next segment asks again: this one is told many times a second.
    this.#last.set(key, date)
    void this.#run(key, date, { ...this.#options, partition, logId }).then(isDone => {
      // Of the day of the first look others may have written before.
      const isAll = isDone && last !== undefined && this.#last.get(key) === date
      if (isAll) this.#last.set(key, nothingLeft)
    })
  }

  /** Resolves once nothing is under way; `ended` makes that soon. */
  async idle(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  #run(key: string, date: string, ledger: IndexedLedger): Promise<boolean> {
    const done = this.#index(key, date, ledger).finally(() => this.#running.delete(key))
    this.#running.set(key, done)
    return done
  }

  /** Whether every day before `date` is indexed. */
  async #index(key: string, date: string, ledger: IndexedLedger): Promise<boolean> {
    const { ended, log } = this.#options
    try {
      await this.#gate.run(async () => {
        const oldest = await firstDate(ledger.blobs)
        if (oldest === undefined) return
        await indexDaysBefore(date, oldest, !this.#looked.has(key), ledger)
        if (ended.aborted) return
        this.#looked.add(key)
        await mergeIdIndexes(oldest, ledger)
      })
      return !ended.aborted
    } catch (error) {
      // The segments are what must not fail; without its index a day is only not searched yet.
      log.error('writer.id_index_failed', error, { partition: ledger.partition, date })
      return false
    }
  }
}

/**
 * Indexes what no id index covers of every day before `date`, oldest first. Days are indexed in order, so those
 * before the last one are done; unless somebody has deleted an index, for which `isFirst` looks.
 */
async function indexDaysBefore(
  date: string,
  oldest: string,
  isFirst: boolean,
  options: IndexedLedger,
): Promise<void> {
  const { ended } = options
  const indexes = await indexesOf(options)
  const newest = lastOf(indexes)
  const from = isFirst ? oldest : (newest ?? oldest)
  for (let day = from; day < date && !ended.aborted; day = dateOf(startOf(day) + dayMs)) {
    const done = indexes.filter(index => index.date <= day && day <= index.lastDate)
    // Of days between those of one index there is nothing to look for: a list for each would cost more.
    if (done.length > 0 && day !== newest) continue
    await indexSegments(await openSegments(day, done, options), options)
  }
}

function lastOf(indexes: readonly ListedIdIndex[]): string | undefined {
  return indexes
    .map(({ lastDate }) => lastDate)
    .sort()
    .at(-1)
}

/** The day of the oldest segment there is, of any partition. */
async function firstDate(blobs: BlobStore): Promise<string | undefined> {
  for await (const { date } of listSegments(blobs, 'ledger')) return date
  return undefined
}
