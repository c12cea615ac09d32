// Hot: once or twice a trace, never as its spans come.
import { randomBytes } from 'node:crypto'
import { FactsUnpacker, spanIdWords } from './packed-facts.ts'
import type { SliceHeadReader } from './slice-bytes.ts'

/** The seed of this process: whoever picks span ids cannot pick them so that all fall into one place. */
const seed = randomBytes(4).readUInt32LE()

/**
 * What the spans of one trace say together: how many there are, and which parents are missing. It is
 * worked out when somebody asks, from all of its slices; a span seen before is skipped. Its memory is
 * that of the largest trace so far.
 */
export class TraceSpans {
  /** Spans without those seen before, and these. */
  distinct = 0
  duplicates = 0
  /** Spans whose parent is not there: in all, and those of them that are entry spans. */
  missing = 0
  missingEntries = 0
  /** Distinct parents that are not there. */
  missingParents = 0
  readonly #unpacker = new FactsUnpacker()
  #words = new Uint32Array(64 * spanIdWords)
  /** Places in `#words` plus one, by hash; 0: free. */
  #ids = new Int32Array(128)
  #parents = new Int32Array(128)
  #mask = 0

  load(slices: SliceHeadReader, bytes: Buffer, spans: number): this {
    this.#reserve(spans)
    let word = 0
    while (slices.next()) {
      this.#unpacker.ids(bytes, slices.factsFrom, slices.spanCount, this.#words, word)
      word += slices.spanCount * spanIdWords
    }
    this.#keepDistinct(word)
    this.#findMissing()
    return this
  }

  #keepDistinct(end: number): void {
    const words = this.#words
    let kept = 0
    for (let at = 0; at < end; at += spanIdWords) {
      const slot = this.#slotOf(this.#ids, words[at] as number, words[at + 1] as number, 0)
      if (this.#ids[slot] !== 0) continue
      this.#ids[slot] = kept + 1
      if (kept < at) words.copyWithin(kept, at, at + spanIdWords)
      kept += spanIdWords
    }
    this.distinct = kept / spanIdWords
    this.duplicates = (end - kept) / spanIdWords
  }

  #findMissing(): void {
    const words = this.#words
    this.missing = 0
    this.missingEntries = 0
    this.missingParents = 0
    for (let at = 0; at < this.distinct * spanIdWords; at += spanIdWords) {
      const high = words[at + 2] as number
      const low = words[at + 3] as number
      if (high === 0 && low === 0) continue
      if (this.#ids[this.#slotOf(this.#ids, high, low, 0)] !== 0) continue
      this.missing++
      this.missingEntries += words[at + 4] as number
      const slot = this.#slotOf(this.#parents, high, low, 2)
      if (this.#parents[slot] !== 0) continue
      this.#parents[slot] = at + 1
      this.missingParents++
    }
  }

  /** Where the id is, or where it would be. `word`: 0 for a span's id, 2 for its parent's. */
  #slotOf(table: Int32Array, high: number, low: number, word: number): number {
    const words = this.#words
    let hash = Math.imul(high ^ seed, 0x9e3779b1)
    hash = Math.imul(hash ^ (hash >>> 15) ^ low, 0x85ebca6b)
    for (let slot = (hash ^ (hash >>> 13)) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = (table[slot] as number) - 1
      if (at < 0 || (words[at + word] === high && words[at + word + 1] === low)) return slot
    }
  }

  /** At most half of a table is in use. */
  #reserve(spans: number): void {
    let slots = 16
    while (slots < 2 * spans) slots *= 2
    if (slots > this.#ids.length) {
      this.#ids = new Int32Array(slots)
      this.#parents = new Int32Array(slots)
    } else {
      this.#ids.fill(0, 0, slots)
      this.#parents.fill(0, 0, slots)
    }
    this.#mask = slots - 1
    if (spans * spanIdWords > this.#words.length) {
      this.#words = new Uint32Array(2 * spans * spanIdWords)
    }
  }
}
