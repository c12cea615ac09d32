import type { Random } from '@winnow/testing'

/** Longest input a mutation makes of a seed of ordinary size: growth is tried, floods are load tests. */
const inputBytesMax = 256 * 1024

const interestingBytes = [0x00, 0x01, 0x0a, 0x22, 0x5b, 0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xff]
const interestingTexts = [
  'null',
  'true',
  '-1',
  '0',
  '1e308',
  '-0.0',
  '9007199254740993',
  '18446744073709551616',
  '"\\ud800"',
  '"__proto__"',
  '{}',
  '[]',
  '""',
  '{"v":1}',
  '\u0000',
  '&a [*a]',
  '!!js/function "x"',
]

/** One to four changes of a valid input: most results are nearly right, which is where parsers err. */
export function mutated(seeds: readonly Uint8Array[], random: Random): Buffer {
  let bytes = Buffer.from(random.pick(seeds))
  for (let left = random.int(1, 4); left > 0; left--) {
    bytes = Buffer.from(random.pick(mutations)(bytes, random, seeds))
    if (bytes.length > inputBytesMax) bytes = bytes.subarray(0, inputBytesMax)
  }
  return bytes
}

type Mutation = (bytes: Buffer, random: Random, seeds: readonly Uint8Array[]) => Uint8Array

const mutations: readonly Mutation[] = [
  flipBit,
  setByte,
  setNumber,
  cutEnd,
  cutOut,
  repeatPart,
  insertNoise,
  spliceOther,
  replaceDigits,
  insertText,
  nestDeeply,
]

function flipBit(bytes: Buffer, random: Random): Uint8Array {
  if (bytes.length === 0) return bytes
  const at = place(bytes, random)
  bytes[at] = (bytes[at] as number) ^ (1 << random.int(0, 7))
  return bytes
}

function setByte(bytes: Buffer, random: Random): Uint8Array {
  if (bytes.length > 0) bytes[place(bytes, random)] = random.pick(interestingBytes)
  return bytes
}

/** A length or offset field at its limits. */
function setNumber(bytes: Buffer, random: Random): Uint8Array {
  if (bytes.length < 8) return bytes
  const at = random.int(0, bytes.length - 8)
  const value = random.pick([0, 1, 0x7fffffff, 0x80000000, 0xffffffff, bytes.length])
  if (random.chance(0.5)) bytes.writeUInt32LE(value >>> 0, at)
  else bytes.writeBigUInt64LE(BigInt(value) << 31n, at)
  return bytes
}

function cutEnd(bytes: Buffer, random: Random): Uint8Array {
  return bytes.subarray(0, place(bytes, random))
}

function cutOut(bytes: Buffer, random: Random): Uint8Array {
  const at = place(bytes, random)
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.int(1, 64))])
}

function repeatPart(bytes: Buffer, random: Random): Uint8Array {
  const at = place(bytes, random)
  const part = bytes.subarray(at, at + random.int(1, 512))
  const times = random.int(1, 8)
  const repeated = Array.from({ length: times }, () => part)
  return Buffer.concat([bytes.subarray(0, at), ...repeated, bytes.subarray(at)])
}

function insertNoise(bytes: Buffer, random: Random): Uint8Array {
  const noise = Buffer.from(Array.from({ length: random.int(1, 32) }, () => random.int(0, 255)))
  const at = place(bytes, random)
  return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)])
}

function spliceOther(bytes: Buffer, random: Random, seeds: readonly Uint8Array[]): Uint8Array {
  const other = Buffer.from(random.pick(seeds))
  return Buffer.concat([
    bytes.subarray(0, place(bytes, random)),
    other.subarray(place(other, random)),
  ])
}

/** The digits at or behind a place become another number or value. */
function replaceDigits(bytes: Buffer, random: Random): Uint8Array {
  let at = place(bytes, random)
  while (at < bytes.length && !isDigit(bytes[at])) at++
  let end = at
  while (end < bytes.length && isDigit(bytes[end])) end++
  const text = Buffer.from(random.pick(interestingTexts))
  return Buffer.concat([bytes.subarray(0, at), text, bytes.subarray(end)])
}

function insertText(bytes: Buffer, random: Random): Uint8Array {
  const at = place(bytes, random)
  const text = Buffer.from(random.pick(interestingTexts))
  return Buffer.concat([bytes.subarray(0, at), text, bytes.subarray(at)])
}

/** Brackets, or nested messages' tags: what makes a parser recurse. */
function nestDeeply(bytes: Buffer, random: Random): Uint8Array {
  const at = place(bytes, random)
  const deep = Buffer.from(
    random.pick(['[', '{"a":', '(', '\n\u00ff', '- ']).repeat(random.int(1, 20_000)),
  )
  return Buffer.concat([bytes.subarray(0, at), deep, bytes.subarray(at)])
}

function place(bytes: Uint8Array, random: Random): number {
  return bytes.length === 0 ? 0 : random.int(0, bytes.length - 1)
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}
