// Hot: every span of every summary and decision is read here, by each of their readers.

/**
 * One span of a packed slice, 13 to 36 bytes:
 *
 *   u8 flags │ 8 bytes id │ u32 op hash │ start ms, tokens in, tokens out where not 0: varints
 *   │ f64 cost USD where not 0
 *
 * Ids are big-endian as they come, the rest is little. Flags: 1-4 those of a span's block (see
 * span-blocks.ts), 8-64 which of the rest is there. A varint has 7 bits a byte, the lowest first.
 */
export const packedSpanBytesMin = 13
export const packedSpanBytesMax = 36

export const packedSpanFlag = { start: 8, input: 16, output: 32, cost: 64 } as const

/** The flags of a packed span that are those of its block. */
export const blockFlags = 7
const knownFlags = 127

/** Where `count` spans at `from` end, which is at `to` at the latest; -1 where they are none. */
export function endOfSpans(bytes: Uint8Array, from: number, to: number, count: number): number {
  if (count * packedSpanBytesMin > to - from) return -1
  let at = from
  for (let span = 0; span < count; span++) {
    if (at + packedSpanBytesMin > to) return -1
    const flags = bytes[at] as number
    if (flags > knownFlags) return -1
    at += packedSpanBytesMin
    if ((flags & packedSpanFlag.start) > 0) at = endOfWord(bytes, at, to)
    if ((flags & packedSpanFlag.input) > 0) at = endOfWord(bytes, at, to)
    if ((flags & packedSpanFlag.output) > 0) at = endOfWord(bytes, at, to)
    if ((flags & packedSpanFlag.cost) > 0) at += 8
    if (at > to) return -1
  }
  return at
}

/** Behind a varint of 32 bits; behind `to` where there is none. */
function endOfWord(bytes: Uint8Array, from: number, to: number): number {
  const last = Math.min(from + 4, to - 1)
  for (let at = from; at <= last; at++) {
    const byte = bytes[at] as number
    if (byte < 128) return at < from + 4 || byte < 16 ? at + 1 : to + 1
  }
  return to + 1
}

/** Spans decoded side by side. */
export interface SpanColumns {
  readonly idHigh: Uint32Array
  readonly idLow: Uint32Array
  readonly opHash: Uint32Array
  /** From the start of the slice. */
  readonly startOffsetMs: Uint32Array
  readonly inputTokens: Uint32Array
  readonly outputTokens: Uint32Array
  readonly costUsd: Float64Array
  readonly flags: Uint8Array
}

const costBytes = new Uint8Array(8)
const costValue = new Float64Array(costBytes.buffer)

/** Reads `count` spans at `from` into rows from `row` on. The bytes are known to be whole. */
export function readSpans(
  bytes: Uint8Array,
  from: number,
  count: number,
  columns: SpanColumns,
  row: number,
): void {
  const { idHigh, idLow, opHash, startOffsetMs, inputTokens, outputTokens, costUsd } = columns
  wordEnd = from
  for (let to = row; to < row + count; to++) {
    const at = wordEnd
    const flags = bytes[at] as number
    idHigh[to] = wordAt(bytes, at + 1)
    idLow[to] = wordAt(bytes, at + 5)
    opHash[to] =
      ((bytes[at + 9] as number) |
        ((bytes[at + 10] as number) << 8) |
        ((bytes[at + 11] as number) << 16) |
        ((bytes[at + 12] as number) << 24)) >>>
      0
    columns.flags[to] = flags & blockFlags
    wordEnd = at + packedSpanBytesMin
    startOffsetMs[to] = (flags & packedSpanFlag.start) > 0 ? readWord(bytes) : 0
    inputTokens[to] = (flags & packedSpanFlag.input) > 0 ? readWord(bytes) : 0
    outputTokens[to] = (flags & packedSpanFlag.output) > 0 ? readWord(bytes) : 0
    if ((flags & packedSpanFlag.cost) > 0) {
      for (let byte = 0; byte < 8; byte++) costBytes[byte] = bytes[wordEnd++] as number
      costUsd[to] = costValue[0] as number
    } else costUsd[to] = 0
  }
}

/** Writes the ids of `count` spans at `from` into `words`, two big-endian words each, from `word` on. */
export function readSpanIds(
  bytes: Uint8Array,
  from: number,
  count: number,
  words: Uint32Array,
  word: number,
): void {
  let at = from
  for (let to = word; to < word + 2 * count; to += 2) {
    words[to] = wordAt(bytes, at + 1)
    words[to + 1] = wordAt(bytes, at + 5)
    at = endOfSpan(bytes, at)
  }
}

/** Behind the span at `from`, which is known to be whole. */
export function endOfSpan(bytes: Uint8Array, from: number): number {
  const flags = bytes[from] as number
  let at = from + packedSpanBytesMin
  for (let flag: number = packedSpanFlag.start; flag < packedSpanFlag.cost; flag *= 2) {
    if ((flags & flag) === 0) continue
    while ((bytes[at++] as number) > 127);
  }
  return (flags & packedSpanFlag.cost) > 0 ? at + 8 : at
}

/** Where the varint that was read last ends. */
let wordEnd = 0

function readWord(bytes: Uint8Array): number {
  let value = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[wordEnd++] as number
    value |= (byte & 127) << shift
    if (byte < 128) return value >>> 0
  }
}

/** A big-endian word. */
export function wordAt(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
  const low = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
  return ((high << 16) | low) >>> 0
}
