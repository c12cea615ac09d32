// Hot: once a slice of every revision.
import { type PackedSlice, refKey } from '@winnow/model'

interface Named {
  readonly id: string
}

/**
 * A hash of the set of slices, evaluations and requests that a decision knows: the sum of its members'
 * hashes, so that order and grouping do not matter. Equal sets have equal sums; that unequal ones do
 * not is a matter of 64 bits, against chance and not against an adversary, who could at most hide
 * evidence of a trace whose every id is his own.
 */
export function fingerprintOf(
  slices: readonly Pick<PackedSlice, 'ref'>[],
  evaluations: readonly Named[],
  requests: readonly Named[],
): bigint {
  sumHigh = 0
  sumLow = 0
  for (let i = 0; i < slices.length; i++) add(`s${refKey((slices[i] as PackedSlice).ref)}`)
  for (let i = 0; i < evaluations.length; i++) add(`e${(evaluations[i] as Named).id}`)
  for (let i = 0; i < requests.length; i++) add(`r${(requests[i] as Named).id}`)
  return (BigInt(sumHigh) << 32n) | BigInt(sumLow)
}

/** As a decision states it. */
export function fingerprintText(fingerprint: bigint): string {
  return fingerprint.toString(16).padStart(16, '0')
}

/** The sum in two halves: a bigint for every member would cost more than its hash. */
let sumHigh = 0
let sumLow = 0

/** Two 32 bit hashes of different seeds, each finished so that near texts lie far apart. */
function add(text: string): void {
  let high = 0x811c9dc5
  let low = 0x9747b28c
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    high = Math.imul(high ^ code, 0x01000193)
    low = Math.imul(low ^ code, 0x5bd1e995)
  }
  const sum = sumLow + finished(low)
  sumLow = sum >>> 0
  sumHigh = (sumHigh + finished(high) + (sum > 0xffffffff ? 1 : 0)) >>> 0
}

function finished(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
