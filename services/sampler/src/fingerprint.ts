// Hot: once a slice of every revision.
import { idText, type SpanRef } from '@winnow/model'

interface Named {
  readonly id: string
}

interface Placed {
  readonly ref: SpanRef
}

/**
 * A hash of the set of slices, evaluations, requests and retractions that a decision knows: the sum of its members'
 * hashes, so that order and grouping do not matter. Equal sets have equal sums; that unequal ones do
 * not is a matter of 64 bits, against chance and not against an adversary, who could at most hide
 * evidence of a trace whose every id is his own.
 */
export function fingerprintOf(
  slices: readonly Placed[],
  evaluations: readonly Named[],
  requests: readonly Named[],
): bigint {
  sumUp(noFingerprint, slices, evaluations, requests, none)
  return (BigInt(sumHigh) << 32n) | BigInt(sumLow)
}

/** As a decision states it: that of `known`, a decision's too, and of what is new to it. */
export function fingerprintText(
  known: string,
  slices: readonly Placed[],
  evaluations: readonly Named[],
  requests: readonly Named[],
  retractions: readonly Named[] = none,
): string {
  sumUp(known, slices, evaluations, requests, retractions)
  return idText(sumHigh, sumLow)
}

const none: readonly never[] = []

/** Of nothing. */
export const noFingerprint = '0'.repeat(16)

/** The sum in two halves: a bigint for every member would cost more than its hash. */
let sumHigh = 0
let sumLow = 0

function sumUp(
  known: string,
  slices: readonly Placed[],
  evaluations: readonly Named[],
  requests: readonly Named[],
  retractions: readonly Named[],
): void {
  sumHigh = known === noFingerprint ? 0 : Number.parseInt(known.slice(0, 8), 16)
  sumLow = known === noFingerprint ? 0 : Number.parseInt(known.slice(8), 16)
  for (let i = 0; i < slices.length; i++) addSlice((slices[i] as Placed).ref)
  for (let i = 0; i < evaluations.length; i++) addName(kind.evaluation, evaluations[i] as Named)
  for (let i = 0; i < requests.length; i++) addName(kind.request, requests[i] as Named)
  for (let i = 0; i < retractions.length; i++) addName(kind.retraction, retractions[i] as Named)
}

const kind = { slice: 1, evaluation: 2, request: 3, retraction: 4 } as const

/** Two 32 bit hashes of different seeds, of a member's words one after another. */
let high = 0
let low = 0

function begin(of: number): void {
  high = 0x811c9dc5
  low = 0x9747b28c
  mix(of)
}

/** As MurmurHash3 takes a word, with constants of their own for the second. */
function mix(word: number): void {
  const a = Math.imul(word, 0xcc9e2d51)
  high ^= Math.imul((a << 15) | (a >>> 17), 0x1b873593)
  high = (Math.imul((high << 13) | (high >>> 19), 5) + 0xe6546b64) | 0
  const b = Math.imul(word, 0x239b961b)
  low ^= Math.imul((b << 16) | (b >>> 16), 0xab0e9789)
  low = (Math.imul((low << 17) | (low >>> 15), 5) + 0x38b34ae5) | 0
}

function addSlice({ partition, offset, start }: SpanRef): void {
  begin(kind.slice)
  mix(partition)
  mix(Math.floor(offset / 2 ** 32))
  mix(offset >>> 0)
  mix(Math.floor(start / 2 ** 32))
  mix(start >>> 0)
  add()
}

function addName(of: number, { id }: Named): void {
  begin(of)
  mix(id.length)
  for (let at = 0; at < id.length; at++) mix(id.charCodeAt(at))
  add()
}

/** Each finished so that near members lie far apart. */
function add(): void {
  const sum = sumLow + finished(low)
  sumLow = sum >>> 0
  sumHigh = (sumHigh + finished(high) + (sum > 0xffffffff ? 1 : 0)) >>> 0
}

function finished(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
