import { isRetryable, type Log, type Metrics, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  dateOf,
  IdIndexBuilder,
  idIndexRowsMax,
  type ListedSegment,
  listIdIndexes,
  listSegments,
  readAllLedger,
} from '@winnow/storage'
import { Gate } from './gate.ts'

export interface IdIndexerOptions {
  readonly blobs: BlobStore
  /** The writer is to stop. */
  readonly ended: AbortSignal
  readonly log: Log
  readonly metrics: Metrics
  /** Rows of one index at most; a day of more has several. */
  readonly rowsMax?: number
}

const dayMs = 86_400_000

/** How long after a day the clock says that a silent partition has no more of it to come. */
export const silentSlackMs = 3_600_000

/** Instead of a day: every segment has its index. Sorts behind every day. */
const nothingLeft = '~'

/**
 * Makes the id indexes of a writer's partitions, day by day: of a UTC day once a segment of a later day
 * is there, for then no more of it come, or once a partition has been silent into the next: what its log
 * forgets meanwhile would be found nowhere. What comes of a day all the same gets an index of its own. It runs beside the segments and never holds them up; what fails
 * or is interrupted is done again with the next segment, or by the next owner, and done twice it is one.
 */
export class IdIndexer {
  readonly #options: IdIndexerOptions
  /** One at a time, whatever the partition: an index takes up to 112 MiB while it is made. */
  readonly #gate = new Gate(1)
  /** By partition and log: every day before it is indexed. */
  readonly #before = new Map<string, string>()
  /** By partition and log: the last day that may have segments without index; none: not looked at yet. */
  readonly #last = new Map<string, string>()
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
    const done = this.#index(date, ledger).finally(() => this.#running.delete(key))
    this.#running.set(key, done)
    return done
  }

  /** Whether every day before `date` is indexed. */
  async #index(date: string, ledger: IndexedLedger): Promise<boolean> {
    const { ended, log } = this.#options
    try {
      await this.#gate.run(() => indexDaysBefore(date, ledger))
      return !ended.aborted
    } catch (error) {
      // The segments are what must not fail; without its index a day is only not searched yet.
      log.error('writer.id_index_failed', error, { partition: ledger.partition, date })
      return false
    }
  }
}

/** The ledger of one partition and log. */
interface IndexedLedger extends IdIndexerOptions {
  readonly partition: number
  readonly logId: string
}

/** Indexes what no id index covers of every day before `date`, oldest first. */
async function indexDaysBefore(date: string, options: IndexedLedger): Promise<void> {
  const { blobs, partition, logId, ended } = options
  const indexes = (await listIdIndexes(blobs, partition)).filter(index => index.logId === logId)
  // Days are indexed in order, so those before the last one are done.
  const from = indexes.at(-1)?.date ?? (await firstDate(blobs))
  if (from === undefined) return
  for (let day = from; day < date && !ended.aborted; day = dateOf(startOf(day) + dayMs)) {
    const done = indexes.filter(index => index.date === day)
    const open: ListedSegment[] = []
    const sinceMs = startOf(day)
    const ofDay = { sinceMs, untilMs: sinceMs + dayMs, partition, logId }
    for await (const segment of listSegments(blobs, 'ledger', ofDay)) {
      const { offset } = segment
      if (!done.some(({ first, last }) => first <= offset && offset <= last)) open.push(segment)
    }
    await indexDay(day, open, options)
  }
}

/** The day of the oldest segment there is, of any partition. */
async function firstDate(blobs: BlobStore): Promise<string | undefined> {
  for await (const { date } of listSegments(blobs, 'ledger')) return date
  return undefined
}

/** Indexes these segments of one day; none makes none. */
async function indexDay(
  date: string,
  segments: readonly ListedSegment[],
  options: IndexedLedger,
): Promise<void> {
  const { blobs, ended, rowsMax = idIndexRowsMax } = options
  let builder: IdIndexBuilder | undefined
  for (const segment of segments) {
    if (ended.aborted) return
    const rows = await idsOf(blobs, segment, options)
    if (builder !== undefined && builder.rows + rows.length > rowsMax) {
      await write(builder, date, options)
      builder = undefined
    }
    builder ??= new IdIndexBuilder()
    builder.beginSegment(segment)
    for (let row = 0; row < rows.length; row++) {
      const { tenant, trace_id } = rows[row] as (typeof rows)[number]
      builder.add(tenant, trace_id, row)
    }
  }
  if (builder !== undefined && !ended.aborted) await write(builder, date, options)
}

/** By row. A segment that nobody can read has nothing to be found in, and must not keep a day without index. */
async function idsOf(
  blobs: BlobStore,
  { key }: ListedSegment,
  { log, partition }: IndexedLedger,
): Promise<{ readonly tenant: string; readonly trace_id: string }[]> {
  try {
    return await readAllLedger(blobs, key, ['tenant', 'trace_id'])
  } catch (error) {
    if (isRetryable(error) || !(error instanceof PipelineError)) throw error
    log.error('writer.segment_not_indexed', error, { partition, key })
    return []
  }
}

async function write(
  builder: IdIndexBuilder,
  date: string,
  { blobs, partition, logId, log, metrics }: IndexedLedger,
): Promise<void> {
  const { key, created, bytes } = await builder.write(blobs, { partition, date, logId })
  if (!created) return
  metrics.tierObjects.inc({ tier: 'ids' })
  metrics.tierBytes.inc({ tier: 'ids' }, bytes)
  log.info('writer.day_indexed', { partition, key, bytes })
}

function startOf(date: string): number {
  return Date.parse(`${date}T00:00:00Z`)
}
