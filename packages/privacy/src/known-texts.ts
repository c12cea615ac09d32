// Hot: asked for every short text.

const slotBits = 9
const slots = 1 << slotBits
/** Longer texts are not remembered. */
export const knownTextBytesMax = 64

/**
 * Nothing is sought in a text from `clean` on. From `key` on the answer says what the text is as a key: so much more
 * as `keyNatureOf` says.
 */
export const knownText = { unknown: 0, replaced: 1, clean: 2, key: 3 } as const

/** What stands in the place of a text, whatever its key, and what was found in it. */
export interface Replaced {
  readonly bytes: Uint8Array
  readonly kinds: readonly string[]
}

/**
 * Short texts that come again and again - keys, names of spans, of models, addresses of hosts - and what was found
 * out about them, so that each is looked at once as long as it keeps its slot. 33 KiB, and what is put in the place
 * of some.
 */
export class KnownTexts {
  readonly #bytes = new Uint8Array(slots * knownTextBytesMax)
  readonly #lengths = new Uint8Array(slots)
  readonly #answers = new Uint8Array(slots)
  readonly #replaced: (Replaced | undefined)[] = Array.from({ length: slots })

  /** `unknown` where the text is none of them. */
  get(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start
    if (length === 0 || length > knownTextBytesMax) return knownText.unknown
    const slot = slotOf(bytes, start, end)
    if (this.#lengths[slot] !== length) return knownText.unknown
    const known = this.#bytes
    const from = slot * knownTextBytesMax
    for (let i = length - 1; i >= 0; i--) {
      if (known[from + i] !== bytes[start + i]) return knownText.unknown
    }
    return this.#answers[slot] as number
  }

  /** Of a text of which `get` has just said `replaced`. */
  replaced(bytes: Uint8Array, start: number, end: number): Replaced {
    return this.#replaced[slotOf(bytes, start, end)] as Replaced
  }

  addReplaced(bytes: Uint8Array, start: number, end: number, replaced: Replaced): void {
    this.add(bytes, start, end, knownText.replaced)
    // In memory of its own: a small buffer holds on to the slab that it was cut from.
    const own = { bytes: Uint8Array.from(replaced.bytes), kinds: replaced.kinds }
    this.#replaced[slotOf(bytes, start, end)] = own
  }

  add(bytes: Uint8Array, start: number, end: number, answer: number): void {
    const length = end - start
    if (length === 0 || length > knownTextBytesMax) return
    const slot = slotOf(bytes, start, end)
    const from = slot * knownTextBytesMax
    for (let i = 0; i < length; i++) this.#bytes[from + i] = bytes[start + i] as number
    this.#lengths[slot] = length
    this.#answers[slot] = answer
  }
}

function slotOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  let hash = length
  hash = Math.imul(hash, 31) + (bytes[end - 1] as number)
  hash = Math.imul(hash, 31) + (bytes[end - 1 - (length >> 2)] as number)
  hash = Math.imul(hash, 31) + (bytes[start + (length >> 1)] as number)
  hash = Math.imul(hash, 31) + (bytes[start + (length >> 2)] as number)
  hash = Math.imul(hash, 0x9e3779b1)
  return hash >>> (32 - slotBits)
}
