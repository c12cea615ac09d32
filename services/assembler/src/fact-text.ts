// Hot: a few texts a slice. JSON is concatenated; building objects to write them again costs more.
import { factTextBytesMax } from '@winnow/model'

/** Unix nanoseconds, given as two words, in decimal. A double cannot hold them. */
export function nanosText(hi: number, lo: number): string {
  // Long division by 1e9, 16 bits at a time: each step stays below 2^53.
  let seconds = 0
  let rest = 0
  for (let limb = 0; limb < 4; limb++) {
    const word = limb < 2 ? hi : lo
    const current = rest * 0x1_0000 + ((limb & 1) === 0 ? word >>> 16 : word & 0xffff)
    const quotient = Math.floor(current / 1e9)
    rest = current - quotient * 1e9
    seconds = seconds * 0x1_0000 + quotient
  }
  return seconds === 0 ? String(rest) : String(seconds) + String(1e9 + rest).slice(1)
}

/** Two words as 16 hex digits. */
export function idText(hi: number, lo: number): string {
  return wordText(hi) + wordText(lo)
}

function wordText(word: number): string {
  return (
    (hexOfByte[word >>> 24] as string) +
    hexOfByte[(word >>> 16) & 255] +
    hexOfByte[(word >>> 8) & 255] +
    hexOfByte[word & 255]
  )
}

/** `toString(16)` goes by way of a double and was a sixth of the stage. */
const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** A name or service as a JSON string, cut at a character's end so that it keeps to the limit. */
export function jsonName(source: Buffer, start: number, end: number): string {
  return jsonText(source, start, cutAt(source, start, end))
}

/** Where a text has to end so that it has at most {@link factTextBytesMax} bytes and no half character. */
export function cutAt(source: Buffer, start: number, end: number): number {
  if (end - start <= factTextBytesMax) return end
  let cut = start + factTextBytesMax
  while (cut > start && ((source[cut] as number) & 0xc0) === 0x80) cut--
  return cut
}

/** UTF-8 as a JSON string, quotes included; what is no UTF-8 becomes U+FFFD. */
export function jsonText(source: Buffer, start: number, end: number): string {
  for (let at = start; at < end; at++) {
    const byte = source[at] as number
    if (byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c) {
      return JSON.stringify(source.toString('utf8', start, end))
    }
  }
  return `"${source.toString('latin1', start, end)}"`
}

/** Whether the bytes are exactly this ASCII text. */
export function isText(source: Buffer, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false
  for (let i = 0; i < text.length; i++) if (source[start + i] !== text.charCodeAt(i)) return false
  return true
}
