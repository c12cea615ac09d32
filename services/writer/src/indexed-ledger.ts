import type { Log, Metrics } from '@winnow/runtime'
import {
  type BlobStore,
  type IdIndexBuilder,
  type ListedIdIndex,
  type ListedIdIndexFile,
  listIdIndexFiles,
  wholeIdIndexes,
} from '@winnow/storage'

export interface IdIndexerOptions {
  readonly blobs: BlobStore
  /** The writer is to stop. */
  readonly ended: AbortSignal
  readonly log: Log
  readonly metrics: Metrics
  /** Rows of one file at most; a day of more has several indexes until they become one. */
  readonly rowsMax?: number
}

/** The ledger of one partition and log. */
export interface IndexedLedger extends IdIndexerOptions {
  readonly partition: number
  readonly logId: string
}

/** The id indexes of the partition's log. */
export async function indexesOf(ledger: IndexedLedger): Promise<ListedIdIndex[]> {
  return wholeIdIndexes(await indexFilesOf(ledger))
}

/** The files of them, of those too that are not whole. */
export async function indexFilesOf({
  blobs,
  partition,
  logId,
}: IndexedLedger): Promise<ListedIdIndexFile[]> {
  return (await listIdIndexFiles(blobs, partition)).filter(file => file.logId === logId)
}

/** Creates what was gathered, and counts it. Its key, where nobody had made it before. */
export async function writeIndex(
  builder: IdIndexBuilder,
  { blobs, partition, logId, log, metrics }: IndexedLedger,
): Promise<string | undefined> {
  const { key, created, bytes } = await builder.write(blobs, { partition, logId })
  if (!created) return undefined
  metrics.tierObjects.inc({ tier: 'ids' })
  metrics.tierBytes.inc({ tier: 'ids' }, bytes)
  log.info('writer.day_indexed', { partition, key, bytes })
  return key
}
