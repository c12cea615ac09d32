import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { syncFolder } from '@winnow/runtime'
import {
  encodeSegmentHeader,
  frameOffsetAt,
  framePartitionAt,
  keyAt,
  segmentHeadBytes,
  strideOf,
  toBlock,
} from './file-format.ts'
import { diskIo } from './log-io.ts'
import type { LogState } from './log-recovery.ts'
import { indexPath, Segment } from './segment.ts'
import { type FrameVisitor, indexSegment, scanFrames } from './segment-scan.ts'

/**
 * Rewrites the sealed segments of a keyed log as one that has only the last record of every key, and
 * puts it under the name of the newest of them. The rename is the moment: a crash before it leaves a
 * `.tmp`, a crash after it leaves older segments that the new one's head names as replaced.
 */
export async function compactLog(state: LogState): Promise<void> {
  const active = state.segments.at(-1) as Segment
  const sealed = state.segments.slice(0, -1)
  const [oldest, newest] = [sealed[0], sealed.at(-1)]
  if (oldest === undefined || newest === undefined) return
  const lastOffsets = await lastOffsetsOf(state)
  const segment = new Segment(state.folder, {
    ...newest.header,
    compacted: true,
    replacesFrom: oldest.header.replacesFrom,
    bases: oldest.header.bases,
    lastAtMs: oldest.header.lastAtMs,
  })
  const temporary = `${segment.path}.tmp`
  const file = await open(temporary, 'w+')
  try {
    const fileBytes = await writeSurvivors(state, sealed, lastOffsets, segment, file)
    await file.sync()
    await indexSegment(segment, file, fileBytes, state.seed)
  } finally {
    await file.close()
  }
  segment.lastAtMs.set(newest.lastAtMs)
  await rm(indexPath(segment.path), { force: true })
  await rename(temporary, segment.path)
  await syncFolder(state.folder)
  state.segments = [segment, active]
  for (const old of sealed) await (old === newest ? old.retire() : old.remove())
  await segment.seal()
}

async function lastOffsetsOf(state: LogState): Promise<Map<string, number>> {
  const lastOffsets = new Map<string, number>()
  for (const segment of state.segments) {
    await visitFrames(state, segment, (bytes, at) => {
      lastOffsets.set(identityAt(bytes, at), frameOffsetAt(bytes, at))
    })
  }
  return lastOffsets
}

/** Copies the frames as they are: their checksums hold, for they say nothing of their place. */
async function writeSurvivors(
  state: LogState,
  sealed: readonly Segment[],
  lastOffsets: ReadonlyMap<string, number>,
  segment: Segment,
  file: FileHandle,
): Promise<number> {
  let position = segmentHeadBytes(state.spec.partitions)
  const head = encodeSegmentHeader(segment.header)
  await diskIo.write(file, head, 0, head.length, 0)
  for (const source of sealed) {
    const survivors: Buffer[] = []
    await visitFrames(state, source, (bytes, at, frameBytes) => {
      if (lastOffsets.get(identityAt(bytes, at)) !== frameOffsetAt(bytes, at)) return
      const frame = Buffer.alloc(strideOf(frameBytes))
      bytes.copy(frame, 0, at, at + frameBytes)
      survivors.push(frame)
    })
    const kept = Buffer.concat(survivors)
    await diskIo.write(file, kept, 0, kept.length, position)
    position += kept.length
  }
  await file.truncate(toBlock(position))
  return toBlock(position)
}

async function visitFrames(state: LogState, segment: Segment, visit: FrameVisitor): Promise<void> {
  const file = await open(segment.path)
  try {
    const start = segmentHeadBytes(state.spec.partitions)
    await scanFrames(file, start, segment.bytes, state.seed, () => true, visit)
  } finally {
    await file.close()
  }
}

const identityAt = (bytes: Buffer, at: number): string =>
  `${framePartitionAt(bytes, at)} ${keyAt(bytes, at) ?? ''}`
