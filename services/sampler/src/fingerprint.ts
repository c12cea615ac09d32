import { refKey, type SpanRef } from '@winnow/model'

/**
 * A hash of the set of slices, evaluations and requests that a decision knows: the sum of its members'
 * hashes, so that order and grouping do not matter. Equal sets have equal sums; that unequal ones do
 * not is a matter of 64 bits, against chance and not against an adversary, who could at most hide
 * evidence of a trace whose every id is his own.
 */
export function fingerprintOf(
  refs: Iterable<SpanRef>,
  evaluationIds: Iterable<string>,
  requestIds: Iterable<string>,
): bigint {
  let sum = 0n
  for (const ref of refs) sum += hash(`s${refKey(ref)}`)
  for (const id of evaluationIds) sum += hash(`e${id}`)
  for (const id of requestIds) sum += hash(`r${id}`)
  return BigInt.asUintN(64, sum)
}

/** As a decision states it. */
export function fingerprintText(fingerprint: bigint): string {
  return fingerprint.toString(16).padStart(16, '0')
}

/** Two 32 bit hashes of different seeds, each finished so that near texts lie far apart. */
function hash(text: string): bigint {
  let high = 0x811c9dc5
  let low = 0x9747b28c
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    high = Math.imul(high ^ code, 0x01000193)
    low = Math.imul(low ^ code, 0x5bd1e995)
  }
  return (BigInt(finished(high)) << 32n) | BigInt(finished(low))
}

function finished(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
