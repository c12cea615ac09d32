import { isRetryable, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  IdIndexBuilder,
  type IdIndexName,
  idIndexRowsMax,
  type ListedSegment,
  listSegments,
  readAllLedger,
} from '@winnow/storage'
import { type IndexedLedger, writeIndex } from './indexed-ledger.ts'

const dayMs = 86_400_000

/** The segments of a day that none of these indexes covers, oldest first. */
export async function openSegments(
  day: string,
  indexes: readonly Pick<IdIndexName, 'first' | 'last'>[],
  { blobs, partition, logId }: IndexedLedger,
): Promise<ListedSegment[]> {
  const open: ListedSegment[] = []
  const sinceMs = startOf(day)
  const ofDay = { sinceMs, untilMs: sinceMs + dayMs, partition, logId }
  for await (const segment of listSegments(blobs, 'ledger', ofDay)) {
    const { offset } = segment
    if (!indexes.some(({ first, last }) => first <= offset && offset <= last)) open.push(segment)
  }
  return open
}

/** Indexes these segments, in the order of the log; none makes none. */
export async function indexSegments(
  segments: readonly ListedSegment[],
  options: IndexedLedger,
): Promise<void> {
  const { blobs, ended, rowsMax = idIndexRowsMax } = options
  let builder: IdIndexBuilder | undefined
  for (const segment of segments) {
    if (ended.aborted) return
    const rows = await idsOf(blobs, segment, options)
    if (builder !== undefined && builder.rows + rows.length > rowsMax) {
      await writeIndex(builder, options)
      builder = undefined
    }
    builder ??= new IdIndexBuilder()
    builder.beginSegment(segment)
    for (let row = 0; row < rows.length; row++) {
      const { tenant, trace_id } = rows[row] as (typeof rows)[number]
      builder.add(tenant, trace_id, row)
    }
  }
  if (builder !== undefined && !ended.aborted) await writeIndex(builder, options)
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

/** The first millisecond of a UTC day. */
export function startOf(date: string): number {
  return Date.parse(`${date}T00:00:00Z`)
}
