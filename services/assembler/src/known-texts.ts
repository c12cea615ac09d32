// Hot: every name and service of every slice is asked for here.
import { cutAt, jsonText } from './fact-text.ts'

/** A longer text is hardly the same twice. */
export const knownBytesMax = 64

const slotBits = 9

/**
 * The JSON of texts that come again and again, as names do: found by their bytes, so that no string is
 * made of what was made before. One place a hash; who comes last has it.
 */
export class KnownTexts {
  readonly #texts: string[] = new Array(1 << slotBits).fill('')
  /** 0: nothing is there. */
  readonly #lengths = new Uint8Array(1 << slotBits)
  readonly #bytes = new Uint8Array(knownBytesMax << slotBits)

  /** As `jsonText`. */
  jsonText(source: Buffer, start: number, end: number): string {
    const length = end - start
    if (length > knownBytesMax || length === 0) return jsonText(source, start, end)
    let hash = length
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (source[at] as number), 0x01000193)
    const slot = (hash >>> 3) & ((1 << slotBits) - 1)
    const bytes = this.#bytes
    const from = slot * knownBytesMax
    if (this.#lengths[slot] === length) {
      let at = 0
      while (at < length && bytes[from + at] === source[start + at]) at++
      if (at === length) return this.#texts[slot] as string
    }
    const text = jsonText(source, start, end)
    this.#texts[slot] = text
    this.#lengths[slot] = length
    for (let at = 0; at < length; at++) bytes[from + at] = source[start + at] as number
    return text
  }

  /** A name or service, cut at a character's end so that it keeps to the limit of a fact's text. */
  jsonName(source: Buffer, start: number, end: number): string {
    return this.jsonText(source, start, cutAt(source, start, end))
  }
}

/** Of this process. */
export const knownTexts = new KnownTexts()
