/** Layers of encoding that are taken off one character: `%2540`, `\\\\u0040`. */
const layersMax = 4

const backslash = 0x5c
const percent = 0x25
const slash = 0x2f

/** Text with its escapes resolved, and where each of its bytes stands in the original. */
export interface DecodedView {
  readonly bytes: Buffer
  /** One longer than `bytes`. */
  readonly offsets: Uint32Array
}

/**
 * Whether the byte at `at` begins an escape that stands for a character: `%40`, or the last backslash of
 * `\\u0040` and `\\/`. Of a run of backslashes only the last one says so, or each would look through all the others.
 */
export function beginsEscape(bytes: Uint8Array, at: number, end: number): boolean {
  if (bytes[at] === percent) {
    return at + 2 < end && hexAt(bytes, at + 1) >= 0 && hexAt(bytes, at + 2) >= 0
  }
  if (bytes[at] !== backslash || at + 1 >= end) return false
  if (bytes[at + 1] === slash) return true
  return bytes[at + 1] === 0x75 && at + 5 < end && unitAt(bytes, at + 2) >= 0
}

/**
 * Resolves `\uXXXX` and `\/` of any number of backslashes, and `%XX`, also of a percent sign that was encoded
 * itself.
 */
export function decodedView(bytes: Buffer, start: number, end: number): DecodedView {
  const decoded = Buffer.allocUnsafe(end - start)
  const offsets = new Uint32Array(end - start + 1)
  let length = 0
  for (let at = start; at < end; ) {
    const from = at
    const byte = bytes[at] as number
    let last = at
    if (byte === backslash) while (last + 1 < end && bytes[last + 1] === backslash) last++
    const isEscape = (byte === backslash || byte === percent) && beginsEscape(bytes, last, end)
    if (!isEscape) {
      for (; at <= last; at++) {
        offsets[length] = at
        decoded[length++] = byte
      }
      continue
    }
    let written = 1
    if (byte === percent) {
      const [value, next] = percentAt(bytes, at, end)
      decoded[length] = value
      at = next
    } else if (bytes[last + 1] === slash) {
      decoded[length] = slash
      at = last + 2
    } else {
      const [text, next] = unicodeAt(bytes, last, end)
      written = decoded.write(text, length)
      at = next
    }
    for (let i = 0; i < written; i++) offsets[length + i] = from
    length += written
  }
  offsets[length] = end
  return { bytes: decoded.subarray(0, length), offsets: offsets.subarray(0, length + 1) }
}

function percentAt(bytes: Buffer, from: number, end: number): readonly [number, number] {
  let at = from + 1
  let value = hexAt(bytes, at) * 16 + hexAt(bytes, at + 1)
  at += 2
  for (let layer = 1; layer < layersMax && value === percent && at + 1 < end; layer++) {
    const high = hexAt(bytes, at)
    const low = hexAt(bytes, at + 1)
    if (high < 0 || low < 0) break
    value = high * 16 + low
    at += 2
  }
  return [value, at]
}

/** A pair of surrogates is one character; four bytes of UTF-8 are fewer than its twelve here. */
function unicodeAt(bytes: Buffer, from: number, end: number): readonly [string, number] {
  let at = from
  while (bytes[at] === backslash) at++
  const first = unitAt(bytes, at + 1)
  at += 5
  if (first < 0xd800 || first > 0xdbff) return [String.fromCharCode(first).toWellFormed(), at]
  let next = at
  while (next < end && bytes[next] === backslash) next++
  const isPair = next > at && bytes[next] === 0x75 && next + 4 < end
  const second = isPair ? unitAt(bytes, next + 1) : -1
  if (second < 0xdc00 || second > 0xdfff) return ['\ufffd', at]
  return [String.fromCharCode(first, second), next + 5]
}

function unitAt(bytes: Uint8Array, at: number): number {
  let unit = 0
  for (let i = at; i < at + 4; i++) {
    const value = hexAt(bytes, i)
    if (value < 0) return -1
    unit = unit * 16 + value
  }
  return unit
}

function hexAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at] as number
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const low = byte | 0x20
  return low >= 0x61 && low <= 0x66 ? low - 0x57 : -1
}
