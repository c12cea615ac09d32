// Hot file: every slice of a kept trace is cut here; one copy a range.
import { isRetryable, PipelineError } from '@winnow/runtime'
import { type BusRecord, type RangeRead, rangesMax, type ValueRange } from './bus.ts'

/** Refuses what no adapter takes. */
export function checkRanges(topic: string, ranges: readonly ValueRange[]): void {
  if (ranges.length <= rangesMax) return
  const asked = `${ranges.length} ranges of ${topic} in one fetchRanges`
  throw new PipelineError('CONFIG_INVALID', `${asked}; at most ${rangesMax}, ask in parts`)
}

/** Ranges out of records that are fetched one by one, each offset once. */
export async function fetchRangesOneByOne(
  ranges: readonly ValueRange[],
  fetch: (offset: number) => Promise<BusRecord>,
): Promise<RangeRead[]> {
  const reads: RangeRead[] = []
  const byOffset = new Map<number, number[]>()
  ranges.forEach(({ offset }, at) => {
    const same = byOffset.get(offset)
    if (same === undefined) byOffset.set(offset, [at])
    else same.push(at)
  })
  for (const [offset, places] of byOffset) {
    const record = await fetch(offset).catch(forGood)
    if (record instanceof PipelineError) {
      for (const at of places) reads[at] = record
      continue
    }
    const views = places.map(at => viewOf(record.value, ranges[at] as ValueRange))
    const cut = ownMemory(views)
    places.forEach((at, index) => {
      reads[at] = cut[index] as RangeRead
    })
  }
  return reads
}

/** The stretch as a view of its record's value. */
export function viewOf(value: Uint8Array, { offset, start, length }: ValueRange): RangeRead {
  const isNumber = Number.isSafeInteger(start) && Number.isSafeInteger(length)
  if (isNumber && start >= 0 && length >= 0 && start + length <= value.length) {
    return value.subarray(start, start + length)
  }
  const message = `bytes ${start} to ${start + length} lie outside of record ${offset}, which has ${value.length}`
  return new PipelineError('DATA_CORRUPT', message)
}

/** The same bytes in one piece of memory that nobody else has. */
export function ownMemory(reads: readonly RangeRead[]): RangeRead[] {
  let total = 0
  for (const read of reads) if (!(read instanceof PipelineError)) total += read.length
  const memory = Buffer.allocUnsafeSlow(total)
  let to = 0
  return reads.map(read => {
    if (read instanceof PipelineError) return read
    memory.set(read, to)
    to += read.length
    return memory.subarray(to - read.length, to)
  })
}

/** The reads with those at the places `missing`, in order, from `late`. */
export function filled(
  reads: readonly RangeRead[],
  missing: readonly number[],
  late: readonly RangeRead[],
): RangeRead[] {
  const all = [...reads]
  missing.forEach((at, index) => {
    all[at] = late[index] as RangeRead
  })
  return all
}

/** Throws what may pass, and what is a bug. */
function forGood(error: unknown): PipelineError {
  if (!(error instanceof PipelineError) || isRetryable(error)) throw error
  return error
}
