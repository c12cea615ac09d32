// Hot: every field of every span passes through these. No state, no allocation; positions in, positions out.
import { PipelineError } from '@winnow/runtime'
import { groupDepthMax } from './wire.ts'

/**
 * A source is at most this long, so that a length and the size of its varint fit one small integer
 * (see {@link lengthAt}). Requests are limited to half of it, records of the bus to far less.
 */
export const scanBytesMax = 2 ** 27 - 1

/**
 * A length-delimited field's length, read at `at` and proven to lie within `end`, as
 * `length << 4 | bytes of the varint`: two results without an object.
 */
export function lengthAt(bytes: Uint8Array, at: number, end: number): number {
  if (at < end) {
    const first = bytes[at] as number
    if (first < 128) {
      if (first < end - at) return (first << 4) | 1
    } else if (at + 1 < end && (bytes[at + 1] as number) < 128) {
      const length = (first & 127) | ((bytes[at + 1] as number) << 7)
      if (length < end - at - 1) return (length << 4) | 2
    } else {
      return longLengthAt(bytes, at, end)
    }
  }
  throw malformed('a field runs past the end of its message', at)
}

function longLengthAt(bytes: Uint8Array, at: number, end: number): number {
  const size = afterVarint(bytes, at, end) - at
  let length = 0
  for (let i = size - 1; i >= 0; i--) length = length * 128 + ((bytes[at + i] as number) & 127)
  if (length > end - at - size) throw malformed('a field runs past the end of its message', at)
  return (length << 4) | size
}

/** The position behind the varint at `at`: at most ten bytes and 64 bits, within `end`. */
export function afterVarint(bytes: Uint8Array, at: number, end: number): number {
  if (at < end && (bytes[at] as number) < 128) return at + 1
  const last = Math.min(end, at + 10)
  for (let i = at; i < last; i++) {
    const byte = bytes[i] as number
    if (byte >= 128) continue
    if (i - at === 9 && byte > 1) break
    return i + 1
  }
  throw malformed('a varint is truncated or longer than 64 bits', at)
}

/** Bits `from` to `from + 31` of the varint at `at`, unsigned; {@link afterVarint} has proven it. */
export function varintBits(bytes: Uint8Array, at: number, from: 0 | 32): number {
  if ((bytes[at] as number) < 128) return from === 0 ? (bytes[at] as number) : 0
  let bits = 0
  for (let i = at, shift = -from; shift < 32; i++, shift += 7) {
    const byte = bytes[i] as number
    if (shift > -7) bits |= shift < 0 ? (byte & 127) >>> -shift : (byte & 127) << shift
    if (byte < 128) break
  }
  return bits >>> 0
}

/** The tag at `at`, field number * 8 + wire type; {@link afterVarint} gives the position behind it. */
export function tagAt(bytes: Uint8Array, at: number, end: number): number {
  if (at < end && (bytes[at] as number) < 128) return bytes[at] as number
  return longTagAt(bytes, at, end)
}

function longTagAt(bytes: Uint8Array, at: number, end: number): number {
  const size = afterVarint(bytes, at, end) - at
  if (size > 5 || (size === 5 && (bytes[at + 4] as number) > 15)) {
    throw malformed('a field number lies above 2^29 - 1', at)
  }
  return varintBits(bytes, at, 0)
}

/** Passes over a field that nobody here knows; `at` lies behind its tag. Returns the position behind it. */
export function afterField(bytes: Uint8Array, tag: number, at: number, end: number): number {
  if (tag >>> 3 === 0) throw malformed('a field has number 0', at)
  if ((tag & 7) === 3) return afterGroup(bytes, tag, at, end)
  return afterScalar(bytes, tag, at, end)
}

function afterScalar(bytes: Uint8Array, tag: number, at: number, end: number): number {
  switch (tag & 7) {
    case 0:
      return afterVarint(bytes, at, end)
    case 1:
      return afterFixed(at, 8, end)
    case 2: {
      const packed = lengthAt(bytes, at, end)
      return at + (packed & 15) + (packed >>> 4)
    }
    case 5:
      return afterFixed(at, 4, end)
    default:
      throw malformed(`wire type ${tag & 7} has no place here`, at)
  }
}

export function afterFixed(at: number, size: number, end: number): number {
  if (size > end - at) throw malformed('a field runs past the end of its message', at)
  return at + size
}

/** Nobody sends groups; every reader of today still passes over unknown ones, so this one does. */
function afterGroup(bytes: Uint8Array, opening: number, from: number, end: number): number {
  const open = [opening >>> 3]
  let at = from
  while (open.length > 0) {
    if (at >= end) throw malformed('a group has no end', at)
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    if (tag >>> 3 === 0) throw malformed('a field has number 0', at)
    if ((tag & 7) === 3) {
      if (open.push(tag >>> 3) > groupDepthMax) throw malformed('groups lie too deep', at)
    } else if ((tag & 7) === 4) {
      if (open.pop() !== tag >>> 3) throw malformed('a group ends that did not begin', at)
    } else {
      at = afterScalar(bytes, tag, at, end)
    }
  }
  return at
}

/** Four bytes as ids are compared and printed. The caller has checked that they are there. */
export function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  )
}

/** A fixed32, or half of a fixed64. */
export function littleWordAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  )
}

export function malformed(what: string, at: number): PipelineError {
  return new PipelineError(
    'PAYLOAD_INVALID',
    `not valid protobuf: ${what}, at byte ${at}; send what an OTLP exporter encodes`,
  )
}
