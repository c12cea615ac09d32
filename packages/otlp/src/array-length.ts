import { afterField, afterVarint, tagAt } from './wire-scan.ts'

/** How many values an ArrayValue has, given as the range of a hit, which a scan has checked. */
export function arrayLength(bytes: Uint8Array, start: number, end: number): number {
  let count = 0
  let at = start
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterField(bytes, tag, afterVarint(bytes, at, end), end)
    if (tag === 10) count++
  }
  return count
}
