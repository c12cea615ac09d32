import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PipelineError, syncFolder } from '@winnow/runtime'
import type { LogEvent } from './file-bus-events.ts'
import { decodeSegmentHeader, type SegmentHeader, seedOf, segmentHeadBytes } from './file-format.ts'
import { readAt } from './log-io.ts'
import { createSegment, Segment, segmentPath } from './segment.ts'
import { endsBehind, indexSegment } from './segment-scan.ts'
import type { TopicSpec } from './topics.ts'
import { Waiters } from './waiters.ts'

/** What readers and the writer of one log share. Everything in it is durable. */
export interface LogState {
  readonly spec: TopicSpec
  readonly folder: string
  readonly logId: string
  readonly seed: number
  /** By rising sequence, never empty; the last is the one written to. */
  segments: Segment[]
  /** The next offset of each partition. */
  readonly ends: Float64Array
  readonly lastAtMs: Float64Array
  readonly waiters: readonly Waiters[]
  /** Settles with the last commit that was composed, and so stamped; undefined before the first. */
  stamped?: Promise<void>
}

/** The first retained offset of each partition. */
export function firstsOf(state: LogState): Float64Array {
  return (state.segments[0] as Segment).header.bases
}

export interface RecoveryOptions {
  readonly spec: TopicSpec
  readonly folder: string
  readonly nowMs: number
  readonly newLogId: () => string
  readonly onEvent: (event: LogEvent) => void
}

/** Makes the log of a topic from what its folder holds, or a new one where it holds nothing. */
export async function recoverLog(options: RecoveryOptions): Promise<LogState> {
  const { folder, spec } = options
  await mkdir(folder, { recursive: true })
  const headers = await readHeaders(folder, spec)
  const segments: Segment[] = []
  for (const header of headers) {
    const isLast = header === headers.at(-1)
    const segment = new Segment(folder, header)
    const { size } = await stat(segment.path)
    if (isLast || !(await segment.load(size))) {
      segments.push(...(await rebuild(segment, size, isLast, options)))
    } else segments.push(segment)
  }
  if (segments.length === 0) segments.push(await firstSegment(options))
  const last = segments.at(-1) as Segment
  return {
    spec,
    folder,
    logId: last.header.logId,
    seed: seedOf(last.header.logId),
    segments,
    ends: last.ends.slice(),
    lastAtMs: last.lastAtMs.slice(),
    waiters: Array.from({ length: spec.partitions }, () => new Waiters()),
  }
}

async function firstSegment({ spec, folder, nowMs, newLogId }: RecoveryOptions): Promise<Segment> {
  // The folder may be new too, and a log whose folder a power cut forgets has lost everything.
  await syncFolder(dirname(folder))
  return createSegment(folder, {
    logId: newLogId(),
    keyed: spec.keyed,
    compacted: false,
    sequence: 1,
    replacesFrom: 1,
    createdAtMs: nowMs,
    bases: new Float64Array(spec.partitions),
    lastAtMs: new Float64Array(spec.partitions),
  })
}

/** The heads in order, without those that a compaction had already replaced, and without leftovers. */
async function readHeaders(folder: string, spec: TopicSpec): Promise<SegmentHeader[]> {
  for (const name of await readdir(folder)) if (name.endsWith('.tmp')) await rm(join(folder, name))
  const { live, replaced } = await listHeaders(folder, spec)
  for (const { sequence } of replaced) await rm(segmentPath(folder, sequence))
  return live
}

/** Changes nothing. `replaced`: a compaction ended before it had deleted them. */
export async function listHeaders(
  folder: string,
  spec: TopicSpec,
): Promise<{ readonly live: SegmentHeader[]; readonly replaced: readonly SegmentHeader[] }> {
  const headers: SegmentHeader[] = []
  for (const name of (await readdir(folder)).toSorted()) {
    if (name.endsWith('.log')) headers.push(await readHeader(join(folder, name), spec))
  }
  const live = headers.filter(
    header =>
      !headers.some(
        other => header.sequence < other.sequence && header.sequence >= other.replacesFrom,
      ),
  )
  const strange = live.find(header => header.logId !== live[0]?.logId)
  if (strange !== undefined) {
    throw new PipelineError(
      'DATA_CORRUPT',
      `${segmentPath(folder, strange.sequence)} belongs to log ${strange.logId}, its neighbours to ` +
        `${live[0]?.logId}; move away what was copied in`,
    )
  }
  return { live, replaced: headers.filter(header => !live.includes(header)) }
}

async function readHeader(path: string, spec: TopicSpec): Promise<SegmentHeader> {
  const file = await open(path)
  try {
    // As long as for the spec's partitions, or longer: another count is named, not called corrupt.
    const bytes = Buffer.alloc(Math.max(segmentHeadBytes(spec.partitions), 16 * 1024))
    const length = await readAt(file, bytes, bytes.length, 0)
    const header = decodeSegmentHeader(bytes.subarray(0, length), path)
    if (header.bases.length !== spec.partitions || header.keyed !== spec.keyed) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `${spec.name} is to have ${spec.partitions} partitions (keyed: ${spec.keyed}), ${path} has ` +
          `${header.bases.length} (keyed: ${header.keyed}); both are fixed for the life of a topic: ` +
          'configure the next generation, which lies beside the old one',
      )
    }
    return header
  } finally {
    await file.close()
  }
}

/**
 * Reads a segment whole. What lies behind its first bad frame is cut off: a torn write that nobody
 * was told of. Where the disk lost acknowledged records instead, the log goes on in a new segment
 * whose offsets begin after the lost ones: no offset is ever given twice, readers are told the gap.
 */
async function rebuild(
  segment: Segment,
  fileBytes: number,
  isLast: boolean,
  { folder, spec, nowMs, onEvent }: RecoveryOptions,
): Promise<Segment[]> {
  const { header, path } = segment
  const seed = seedOf(header.logId)
  const file = await open(path, isLast ? 'r+' : 'r')
  try {
    const { end, isClean } = await indexSegment(segment, file, fileBytes, seed)
    if (isClean && segment.bytes === fileBytes) {
      if (!isLast) await segment.seal()
      return [segment]
    }
    const behind = await endsBehind(file, end, fileBytes, seed, spec.partitions)
    const isLoss = behind !== undefined || !isLast
    onEvent({
      kind: isLoss ? 'lost' : 'truncated',
      topic: spec.name,
      path,
      position: end,
      bytes: fileBytes - end,
    })
    if (!isLast) return [segment]
    await file.truncate(end)
    await file.truncate(segment.bytes)
    await file.sync()
    if (behind === undefined) return [segment]
    await segment.seal()
    const next = await createSegment(folder, {
      ...header,
      compacted: false,
      sequence: header.sequence + 1,
      replacesFrom: header.sequence + 1,
      createdAtMs: nowMs,
      bases: segment.ends.map((own, p) => Math.max(own, behind[p] as number)),
      lastAtMs: segment.lastAtMs,
    })
    return [segment, next]
  } finally {
    await file.close()
  }
}
