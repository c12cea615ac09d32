import type { Random } from './random.ts'

/** What changes the meaning of JSON where it is put, or damages it. */
const pieces = [
  ...['"', '\\', '\\"', ',', ':', '{', '}', '[', ']', '0', '00', '-1', '.5', 'e9', 'null', 'true'],
  ...['\n', ' ', '\u0000', '9007199254740993', ',"slices":[', ']}', '"gone":true,'],
]

/** `text` with something taken out or put in at one place before `to`: mostly JSON still, mostly another. */
export function changedJson(text: string, to: number, random: Random): string {
  const at = random.int(0, Math.min(text.length, to))
  const length = random.int(0, random.chance(0.8) ? 2 : 200)
  const piece = random.chance(0.2) ? '' : (pieces[random.int(0, pieces.length - 1)] ?? '')
  return text.slice(0, at) + piece + text.slice(at + length)
}
