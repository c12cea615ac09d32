import type { RunIndex } from './run-index.ts'
import type { Segment } from './segment.ts'

/** Whether some group has yet to read a record of a segment. */
export type IsNeeded = (segment: Segment) => boolean

/** `lowest`: the smallest position of any group in each partition; undefined where there is no group. */
export function neededFrom(lowest: Float64Array | undefined): IsNeeded {
  if (lowest === undefined) return () => false
  return segment =>
    segment.runs.some(
      (runs: RunIndex, p) => runs.count > 0 && (lowest[p] as number) < (segment.ends[p] as number),
    )
}

/**
 * Whether the time of a segment is over: its youngest record is older than the retention, and by
 * `lagGraceMs` more where a group has not read it.
 */
export function isExpired(
  segment: Segment,
  nowMs: number,
  retentionMs: number,
  lagGraceMs: number,
  isNeeded: IsNeeded,
): boolean {
  if (segment.isEmpty) return true
  const ageMs = nowMs - segment.youngestAtMs()
  return ageMs > retentionMs && (ageMs > retentionMs + lagGraceMs || !isNeeded(segment))
}

/** How many of the oldest segments may go so that the log holds at most `bytesMax`. */
export function countOverSize(
  segments: readonly Segment[],
  bytesMax: number,
  isNeeded: IsNeeded,
): number {
  let bytes = bytesOf(segments)
  let count = 0
  for (const segment of segments.slice(0, -1)) {
    if (bytes <= bytesMax || isNeeded(segment)) break
    bytes -= segment.bytes
    count++
  }
  return count
}

export function bytesOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + segment.bytes, 0)
}
