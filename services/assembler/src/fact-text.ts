// Hot: a few texts a slice. JSON is concatenated; building objects to write them again costs more.
import { factTextBytesMax } from '@winnow/model'

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
