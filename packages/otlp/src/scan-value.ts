// Hot: every attribute of every span is checked here, and read where somebody wants it.
import { type AttributeHits, valueType } from './attribute-hits.ts'
import type { Interest } from './interest.ts'
import { anyValueDepthMax } from './otlp.ts'
import type { SpanTable } from './span-table.ts'
import {
  afterField,
  afterFixed,
  afterVarint,
  lengthAt,
  littleWordAt,
  malformed,
  scanBytesMax,
  tagAt,
  varintBits,
} from './wire-scan.ts'

/**
 * Checks one KeyValue and records it when the list wants its key at this level. Returns the hit's
 * row, or -1. The value is checked to its leaves, for what is acknowledged must decode later; what was
 * checked before is checked again only where it is wanted.
 */
export function scanAttribute(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  level: number,
  owner: number,
): number {
  const valueStart = plainValueAt(bytes, from, end)
  if (valueStart < 0) return scanAnyAttribute(bytes, from, end, table, interest, level, owner)
  if (!interest.isChecked) checkValue(bytes, valueStart, end)
  return readAttribute(bytes, from, valueStart, end, table, interest, level, owner)
}

/**
 * Where the value of the KeyValue `[from, end)` lies if it is written as every SDK writes it: key, then
 * value, lengths of one byte for the key and at most two for the value. -1: any other way. The end may
 * lie behind the bytes.
 */
export function plainValueAt(bytes: Uint8Array, from: number, end: number): number {
  // The two longest headers are 6 bytes; a shorter pair is rare.
  if (!(end - from > 6) || bytes[from] !== 10) return -1
  const keyLength = bytes[from + 1] as number
  const keyEnd = from + 2 + keyLength
  if (keyLength > 127 || keyEnd + 3 >= end || bytes[keyEnd] !== 18) return -1
  const length = bytes[keyEnd + 1] as number
  if (length < 128) return keyEnd + 2 + length === end ? keyEnd + 2 : -1
  return keyEnd + 3 + twoByteLength(bytes, keyEnd + 1) === end ? keyEnd + 3 : -1
}

/** A length of which the first byte says that it goes on; one that no message has where it does so twice. */
export function twoByteLength(bytes: Uint8Array, at: number): number {
  const high = bytes[at + 1] as number
  return high < 128 ? ((bytes[at] as number) & 127) | (high << 7) : scanBytesMax
}

/** Records a KeyValue of the plain shape where the list wants it. */
export function readAttribute(
  bytes: Uint8Array,
  from: number,
  valueStart: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  level: number,
  owner: number,
): number {
  if (interest.isEmpty) return -1
  const keyEnd = from + 2 + (bytes[from + 1] as number)
  const key = interest.find(bytes, from + 2, keyEnd, level)
  if (key < 0) return -1
  if (interest.isChecked) checkValue(bytes, valueStart, end)
  return record(bytes, from + 2, keyEnd, valueStart, end, table.hits, key, level, owner)
}

function scanAnyAttribute(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  level: number,
  owner: number,
): number {
  let keyStart = from
  let keyEnd = from
  let valueStart = from
  let valueEnd = from
  let at = from
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 10) {
      keyStart = at + (lengthAt(bytes, at, end) & 15)
      keyEnd = stop
    } else if (tag === 18) {
      valueStart = at + (lengthAt(bytes, at, end) & 15)
      valueEnd = stop
      checkValue(bytes, valueStart, stop)
    }
    at = stop
  }
  const key = interest.find(bytes, keyStart, keyEnd, level)
  if (key < 0) return -1
  return record(bytes, keyStart, keyEnd, valueStart, valueEnd, table.hits, key, level, owner)
}

function record(
  bytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
  hits: AttributeHits,
  key: number,
  level: number,
  owner: number,
): number {
  const hit = hits.open(key, level, owner, keyStart, keyEnd)
  readValue(bytes, valueStart, valueEnd, hits, hit)
  return hit
}

/** An AnyValue of one scalar is one field and ends with it; all else takes the long way. */
export function checkValue(bytes: Uint8Array, from: number, end: number): void {
  if (from === end) return
  const tag = bytes[from] as number
  let stop = -1
  if (tag === 10 && from + 2 < end) {
    const first = bytes[from + 1] as number
    const second = bytes[from + 2] as number
    if (first < 128) stop = from + 2 + first
    else if (second < 128) stop = from + 3 + ((first & 127) | (second << 7))
  } else if (tag === 24 || tag === 16) {
    stop = afterVarint(bytes, from + 1, end)
  } else if (tag === 33) {
    stop = afterFixed(from + 1, 8, end)
  }
  if (stop !== end) checkNested(bytes, from, end)
}

const inValue = 0
const inArray = 1
const inList = 2
const inPair = 3

/** Open messages around a position: three a value (value, list, pair). One scan runs at a time. */
const openEnds = new Uint32Array(3 * anyValueDepthMax + 1)
const openKinds = new Uint8Array(3 * anyValueDepthMax + 1)

/**
 * Walks an AnyValue of any shape with a stack of fixed size: recursion would end in a RangeError
 * at a depth that depends on the caller. An attribute's own value is at depth 1.
 */
function checkNested(bytes: Uint8Array, from: number, last: number): void {
  let at = from
  let open = 0
  let depth = 1
  let kind = inValue
  let end = last
  openEnds[0] = last
  openKinds[0] = inValue
  for (;;) {
    if (at === end) {
      if (kind === inValue) depth--
      if (open === 0) return
      open--
      end = openEnds[open] as number
      kind = openKinds[open] as number
      continue
    }
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const child = childKind(kind, tag)
    if (child < 0) {
      at = afterField(bytes, tag, at, end)
      continue
    }
    const packed = lengthAt(bytes, at, end)
    at += packed & 15
    if (child === inValue && ++depth > anyValueDepthMax) {
      throw malformed(`a value lies in more than ${anyValueDepthMax} others (anyValueDepthMax)`, at)
    }
    end = at + (packed >>> 4)
    kind = child
    open++
    openEnds[open] = end
    openKinds[open] = kind
  }
}

/** Which message the field opens, or -1 where it is none that could hold a value. */
function childKind(kind: number, tag: number): number {
  if (kind === inValue) return tag === 42 ? inArray : tag === 50 ? inList : -1
  if (kind === inPair) return tag === 18 ? inValue : -1
  if (tag !== 10) return -1
  return kind === inArray ? inValue : inPair
}

/** Reads a checked AnyValue into a hit: first the shapes that numbers and short texts nearly always have. */
function readValue(
  bytes: Uint8Array,
  from: number,
  end: number,
  hits: AttributeHits,
  hit: number,
): void {
  const tag = from < end ? (bytes[from] as number) : 0
  const first = from + 1 < end ? (bytes[from + 1] as number) : 0
  if (tag === 24 && end - from === 2 && first < 128) {
    hits.type[hit] = valueType.int
    hits.number[hit] = first
  } else if (tag === 24 && end - from === 3 && first > 127 && (bytes[from + 2] as number) < 128) {
    hits.type[hit] = valueType.int
    hits.number[hit] = (first & 127) | ((bytes[from + 2] as number) << 7)
  } else if (tag === 33 && end - from === 9) {
    hits.type[hit] = valueType.double
    hits.number[hit] = float64At(bytes, from + 1)
  } else if (tag === 10 && end - from === 2 + first) {
    hits.type[hit] = valueType.string
    hits.start[hit] = from + 2
    hits.end[hit] = end
  } else {
    readAnyValue(bytes, from, end, hits, hit)
  }
}

/** Of several members of the union the last one counts. */
function readAnyValue(
  bytes: Uint8Array,
  from: number,
  end: number,
  hits: AttributeHits,
  hit: number,
): void {
  let at = from
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    if (tag === 24 || tag === 16) {
      const int = (varintBits(bytes, at, 32) | 0) * 2 ** 32 + varintBits(bytes, at, 0)
      hits.number[hit] = tag === 24 || int === 0 ? int : 1
      hits.type[hit] = tag >>> 3
    } else if (tag === 33) {
      hits.number[hit] = float64At(bytes, at)
      hits.type[hit] = valueType.double
    } else if (tag === 10 || tag === 42 || tag === 50 || tag === 58) {
      const packed = lengthAt(bytes, at, end)
      hits.start[hit] = at + (packed & 15)
      hits.end[hit] = at + (packed & 15) + (packed >>> 4)
      hits.type[hit] = tag >>> 3
    }
    at = afterField(bytes, tag, at, end)
  }
}

const float = new DataView(new ArrayBuffer(8))

function float64At(bytes: Uint8Array, at: number): number {
  float.setUint32(0, littleWordAt(bytes, at), true)
  float.setUint32(4, littleWordAt(bytes, at + 4), true)
  return float.getFloat64(0, true)
}
