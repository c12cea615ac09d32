import { PipelineError } from '@winnow/runtime'
import { type BlobStore, type ListedSegment, listSegments } from '@winnow/storage'

/** Decisions of this time. */
export interface LedgerWindow {
  readonly sinceMs: number
  readonly untilMs: number
  /** Absent: however many there are. */
  readonly segmentsMax?: number
  /** That are listed for it. */
  readonly objectsMax?: number
}

/** What of the ledger is read. */
export interface LedgerPlan {
  /** Of a partition of a log the last first. */
  readonly segments: readonly ListedSegment[]
  /** Later than was asked for where there are more segments than may be read: all since then lies in these. */
  readonly sinceMs: number
  readonly untilMs: number
}

const dayMs = 86_400_000

/**
 * The segments whose rows may have been decided in [since, until), the newest `segmentsMax` of them. Rejects
 * with QUOTA_EXCEEDED where more than `objectsMax` are listed for it.
 */
export async function planLedger(
  blobs: BlobStore,
  {
    sinceMs,
    untilMs,
    segmentsMax = Number.POSITIVE_INFINITY,
    objectsMax = Number.POSITIVE_INFINITY,
  }: LedgerWindow,
): Promise<LedgerPlan> {
  const days: ListedSegment[][] = []
  let listed = 0
  let held = 0
  let floorMs = sinceMs
  // A segment bears the date of its first record.
  const window = { sinceMs: sinceMs - dayMs, untilMs }
  for await (const segment of listSegments(blobs, 'ledger', window)) {
    if (++listed > objectsMax) throw tooLarge(objectsMax, 'segments of the ledger in this time')
    if (segment.date !== days.at(-1)?.[0]?.date) days.push([])
    days.at(-1)?.push(segment)
    held++
    // The oldest day goes once those after the one behind it are more than enough.
    while (held - (days[0]?.length ?? 0) - (days[1]?.length ?? 0) > segmentsMax) {
      held -= days.shift()?.length ?? 0
      floorMs = Math.max(sinceMs, startOf(days[0]?.[0]?.date) + dayMs)
    }
  }
  // A trace's decisions lie in one partition of one log: there the last is to come first.
  const segments = days.flat().sort((a, b) => b.offset - a.offset)
  if (segments.length <= segmentsMax) return { segments, sinceMs, untilMs }
  const doneAtMs = doneTimes(segments)
  const timeOf = (segment: ListedSegment): number => doneAtMs.get(segment) ?? 0
  const newest = segments.toSorted((a, b) => timeOf(b) - timeOf(a))
  const [left] = newest.splice(segmentsMax)
  const reachedMs = Math.max(floorMs, left === undefined ? sinceMs : timeOf(left) + 1)
  return { segments: newest, sinceMs: Math.min(reachedMs, untilMs), untilMs }
}

/**
 * When each of these had all its rows at the latest. An erasure makes an object younger than it is: the one
 * after it in its log was made later, and none has rows of the second day after its own.
 */
function doneTimes(lastFirst: readonly ListedSegment[]): ReadonlyMap<ListedSegment, number> {
  const ofLog = new Map<string, number>()
  const times = new Map<ListedSegment, number>()
  for (const segment of lastFirst) {
    const { partition, logId, date, modifiedAtMs } = segment
    const log = `${partition} ${logId}`
    const endMs = startOf(date) + 2 * dayMs
    const doneMs = Math.min(modifiedAtMs, endMs, ofLog.get(log) ?? Number.POSITIVE_INFINITY)
    ofLog.set(log, doneMs)
    times.set(segment, doneMs)
  }
  return times
}

function startOf(date = ''): number {
  return Date.parse(`${date}T00:00:00Z`)
}

/** QUOTA_EXCEEDED, with what there is too much of. */
export function tooLarge(max: number, what: string): PipelineError {
  return new PipelineError('QUOTA_EXCEEDED', `more than ${max} ${what}`)
}
