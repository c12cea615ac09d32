import type { Log, Metrics } from '@winnow/runtime'
import {
  type BlobStore,
  type IdIndexBuilder,
  type ListedIdIndex,
  listIdIndexes,
} from '@winnow/storage'

export interface IdIndexerOptions {
  readonly blobs: BlobStore
  /** The writer is to stop. */
  readonly ended: AbortSignal
  readonly log: Log
  readonly metrics: Metrics
  /** Rows of one index at most; a day of more has several. */
  readonly rowsMax?: number
}

/** The ledger of one partition and log. */
export interface IndexedLedger extends IdIndexerOptions {
  readonly partition: number
  readonly logId: string
}

/** The id indexes of the partition's log. */
export async function indexesOf({
  blobs,
  partition,
  logId,
}: IndexedLedger): Promise<ListedIdIndex[]> {
  return (await listIdIndexes(blobs, partition)).filter(index => index.logId === logId)
}

/** Creates what was gathered, and counts it. */
export async function writeIndex(
  builder: IdIndexBuilder,
  { blobs, partition, logId, log, metrics }: IndexedLedger,
): Promise<void> {
  const { key, created, bytes } = await builder.write(blobs, { partition, logId })
  if (!created) return
  metrics.tierObjects.inc({ tier: 'ids' })
  metrics.tierBytes.inc({ tier: 'ids' }, bytes)
  log.info('writer.day_indexed', { partition, key, bytes })
}
