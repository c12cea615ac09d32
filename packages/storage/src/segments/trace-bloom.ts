// Hot: the writer hashes every trace id of every segment here.

import { xxhash64 } from 'hyparquet/src/xxhash.js'
import { createBloomFilter, sbbfInsert } from 'hyparquet-writer/src/bloom.js'

/** Odd numbers that spread a hash's low half over the eight words of a block (Parquet, BloomFilter.md). */
const salts = [
  0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
] as const

/**
 * Parquet's split block bloom filter over trace ids, 1 % false positives. The library's hash works
 * on BigInts and takes 4 µs an id, a fifth of a ledger row; this one works on halves and takes a tenth
 * of that. An id that is not 32 ASCII characters goes the library's way.
 */
export function traceBloom(ids: readonly string[]): Uint32Array {
  const blocks = createBloomFilter(ids.length)
  const blockCount = blocks.length / 8
  for (let n = 0; n < ids.length; n++) {
    const id = ids[n] as string
    if (!hashId(id)) {
      sbbfInsert(blocks, xxhash64(Buffer.from(id)))
      continue
    }
    // Exact: the product stays below 2^53.
    const block = Math.floor(((hashHigh >>> 0) * blockCount) / 0x1_0000_0000) * 8
    for (let word = 0; word < 8; word++) {
      const bit = Math.imul(hashLow, salts[word] as number) >>> 27
      blocks[block + word] = (blocks[block + word] as number) | (1 << bit)
    }
  }
  return blocks
}

/** XXH64 of 32 ASCII characters as two signed 32-bit halves, for the test. Undefined for others. */
export function hashHalves(
  id: string,
): { readonly high: number; readonly low: number } | undefined {
  return hashId(id) ? { high: hashHigh, low: hashLow } : undefined
}

// Results are left here, since a hash of two numbers returned as an object would be garbage per id.
let hashHigh = 0
let hashLow = 0

/** XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) with seed 0 of exactly 32 bytes. */
function hashId(id: string): boolean {
  if (id.length !== 32) return false
  for (let lane = 0; lane < 4; lane++) {
    const at = lane * 8
    if (!readWord(id, at)) return false
    const low = wordBits
    if (!readWord(id, at + 4)) return false
    // One round on the lane's start value: acc = rotl(acc + input * P2, 31) * P1.
    multiply(wordBits, low, 0xc2b2ae3d, 0x27d4eb4f)
    add(laneHigh[lane] as number, laneLow[lane] as number)
    rotate(31)
    multiply(hashHigh, hashLow, 0x9e3779b1, 0x85ebca87)
    highs[lane] = hashHigh
    lows[lane] = hashLow
  }
  let high = 0
  let low = 0
  for (let lane = 0; lane < 4; lane++) {
    hashHigh = highs[lane] as number
    hashLow = lows[lane] as number
    rotate(rotations[lane] as number)
    add(high, low)
    high = hashHigh
    low = hashLow
  }
  for (let lane = 0; lane < 4; lane++) {
    // Merge: acc = (acc ^ round(0, lane)) * P1 + P4.
    multiply(highs[lane] as number, lows[lane] as number, 0xc2b2ae3d, 0x27d4eb4f)
    rotate(31)
    multiply(hashHigh, hashLow, 0x9e3779b1, 0x85ebca87)
    multiply(hashHigh ^ high, hashLow ^ low, 0x9e3779b1, 0x85ebca87)
    add(0x85ebca77, 0xc2b2ae63)
    high = hashHigh
    low = hashLow
  }
  add(0, 32)
  // Avalanche: each step folds the high bits into the low ones.
  foldHigh(33)
  multiply(hashHigh, hashLow, 0xc2b2ae3d, 0x27d4eb4f)
  foldHigh(29)
  multiply(hashHigh, hashLow, 0x165667b1, 0x9e3779f9)
  foldHigh(32)
  return true
}

const rotations = [1, 7, 12, 18] as const
// P1 + P2, P2, 0, -P1.
const laneHigh = [0x60ea27ee, 0xc2b2ae3d, 0, 0x61c8864e] as const
const laneLow = [0xadc0b5d6, 0x27d4eb4f, 0, 0x7a143579] as const
const highs = new Int32Array(4)
const lows = new Int32Array(4)
let wordBits = 0

/** Four characters as a little-endian word; false where one is not ASCII. */
function readWord(id: string, at: number): boolean {
  const a = id.charCodeAt(at)
  const b = id.charCodeAt(at + 1)
  const c = id.charCodeAt(at + 2)
  const d = id.charCodeAt(at + 3)
  wordBits = a | (b << 8) | (c << 16) | (d << 24)
  return (a | b | c | d) < 128
}

function add(high: number, low: number): void {
  const sum = (hashLow >>> 0) + (low >>> 0)
  hashHigh = (hashHigh + high + (sum > 0xffff_ffff ? 1 : 0)) | 0
  hashLow = sum | 0
}

/** The low 64 bits of a product. */
function multiply(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const a0 = aLow & 0xffff
  const a1 = aLow >>> 16
  const b0 = bLow & 0xffff
  const b1 = bLow >>> 16
  const low = a0 * b0
  const middle = a1 * b0 + (low >>> 16)
  const other = a0 * b1 + (middle & 0xffff)
  // The products and their carries stay below 2^53, so `middle` must not go through 32-bit shifts.
  const carry = a1 * b1 + Math.floor(middle / 0x1_0000) + Math.floor(other / 0x1_0000)
  hashHigh = (carry + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) | 0
  hashLow = Math.imul(aLow, bLow)
}

function rotate(bits: number): void {
  const high = hashHigh
  hashHigh = (high << bits) | (hashLow >>> (32 - bits))
  hashLow = (hashLow << bits) | (high >>> (32 - bits))
}

/** hash ^= hash >>> bits, of 64. */
function foldHigh(bits: number): void {
  if (bits >= 32) hashLow ^= bits === 32 ? hashHigh : hashHigh >>> (bits - 32)
  else {
    hashLow ^= (hashLow >>> bits) | (hashHigh << (32 - bits))
    hashHigh ^= hashHigh >>> bits
  }
}
