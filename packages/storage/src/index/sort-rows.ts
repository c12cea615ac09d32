// Hot: every row of a snapshot is moved here once or twice, on a thread where nothing may block.
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Lets others of the thread run. A simulation gives one of its own. */
export type Pause = () => Promise<void>

export const nextTurnOfTheLoop: Pause = () => nextTurn()

/** Rows that are touched between two pauses: about two milliseconds. */
const touchedMax = 16_384

/** Fewer rows than this are put in order one by one. */
const smallMax = 24

/**
 * Sorts rows of equal width in place, by the first `keyBytes` bytes of each, ascending. Radix by the
 * first byte, then by the next within those of equal ones: neither memory nor a long turn is needed,
 * and ids that all begin alike (with a time, as some do) cost a pass for each byte they share, no more.
 * `bytes` begins at a multiple of four in its buffer, and `rowBytes` is one.
 */
export async function sortRows(
  bytes: Uint8Array,
  rowBytes: number,
  keyBytes: number,
  pause: Pause,
): Promise<void> {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2)
  const rowWords = rowBytes >>> 2
  const heads = new Uint32Array(256)
  const ends = new Uint32Array(256)
  // Ranges that are still to be sorted, each as from, to, and the byte they differ in first.
  const ranges = [0, bytes.byteLength / rowBytes, 0]
  let touched = 0
  while (ranges.length > 0) {
    const depth = ranges.pop() as number
    const to = ranges.pop() as number
    const from = ranges.pop() as number
    if (to - from <= smallMax) {
      insertionSort(bytes, words, { from, to, depth }, rowBytes, keyBytes)
      touched += (to - from) * 4
    } else {
      ends.fill(0)
      for (let row = from; row < to; row++) {
        const digit = bytes[row * rowBytes + depth] as number
        ends[digit] = (ends[digit] as number) + 1
        if (++touched >= touchedMax) touched = await rest(pause)
      }
      let next = from
      for (let digit = 0; digit < 256; digit++) {
        const count = ends[digit] as number
        heads[digit] = next
        if (count > 1 && depth + 1 < keyBytes) ranges.push(next, next + count, depth + 1)
        next += count
        ends[digit] = next
      }
      for (let digit = 0; digit < 256; digit++) {
        const end = ends[digit] as number
        let head = heads[digit] as number
        while (head < end) {
          const belongs = bytes[head * rowBytes + depth] as number
          if (belongs === digit) head++
          else {
            const place = heads[belongs] as number
            heads[belongs] = place + 1
            swap(words, head * rowWords, place * rowWords, rowWords)
          }
          if (++touched >= touchedMax) touched = await rest(pause)
        }
        heads[digit] = head
      }
    }
    if (touched >= touchedMax) touched = await rest(pause)
  }
}

async function rest(pause: Pause): Promise<0> {
  await pause()
  return 0
}

function swap(words: Uint32Array, a: number, b: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const word = words[a + i] as number
    words[a + i] = words[b + i] as number
    words[b + i] = word
  }
}

const held = new Uint32Array(64)
const heldBytes = new Uint8Array(held.buffer)

function insertionSort(
  bytes: Uint8Array,
  words: Uint32Array,
  { from, to, depth }: { readonly from: number; readonly to: number; readonly depth: number },
  rowBytes: number,
  keyBytes: number,
): void {
  const rowWords = rowBytes >>> 2
  for (let row = from + 1; row < to; row++) {
    const at = row * rowWords
    for (let i = 0; i < rowWords; i++) held[i] = words[at + i] as number
    let place = row
    while (place > from && isAfter(bytes, (place - 1) * rowBytes, depth, keyBytes)) place--
    if (place === row) continue
    words.copyWithin((place + 1) * rowWords, place * rowWords, row * rowWords)
    for (let i = 0; i < rowWords; i++) words[place * rowWords + i] = held[i] as number
  }
}

/** Whether the row at `at` comes after the one that is held. */
function isAfter(bytes: Uint8Array, at: number, depth: number, keyBytes: number): boolean {
  for (let i = depth; i < keyBytes; i++) {
    const difference = (bytes[at + i] as number) - (heldBytes[i] as number)
    if (difference !== 0) return difference > 0
  }
  return false
}
