// Hot: `find` is asked once for every attribute of every span.

/** Where an attribute may hang. */
export type AttributeLevel = 'resource' | 'scope' | 'span' | 'event'

/** The number of a level in {@link Interest.find} and in the hits of a scan. */
export const attributeLevel = { resource: 0, scope: 1, span: 2, event: 3 } as const

export interface InterestKey {
  /** An attribute key; with a `*` at its end every key that begins with what stands before it. */
  readonly key: string
  readonly at: readonly AttributeLevel[]
}

/** Keys of one list; a slot of the table has 16 bits. */
export const interestKeysMax = 4096
/** A key's length in UTF-8 bytes. */
export const interestKeyBytesMax = 255

/**
 * The attribute keys that a scan pulls out, compiled to a hashed table: length, last and middle
 * byte choose a candidate, its bytes are compared. A key that is not wanted costs three loads, and
 * keys of one convention share their beginnings, so the first byte would tell little.
 *
 *     slots[hash] ──▶ key index ──next──▶ key index ──▶ -1
 *                        │
 *                        └▶ bytes[start .. start + length], levels as a bit set
 */
export class Interest {
  readonly keys: readonly InterestKey[]
  readonly isEmpty: boolean
  /** What is scanned was checked as it came in: values that nobody wants are passed over. */
  readonly isChecked: boolean
  readonly #bytes: Uint8Array
  readonly #starts: Int32Array
  readonly #lengths: Uint8Array
  /** Bit n: wanted at the level of number n. */
  readonly #levels: Uint8Array
  readonly #slots: Int16Array
  readonly #next: Int16Array
  readonly #mask: number
  /** Heads of the prefixes' chains, by their first byte. Chained in `#next` too. */
  readonly #prefixes = new Int16Array(256).fill(-1)
  /** 1 for the third bytes of prefixes, or for all where one is shorter: many keys share a first byte. */
  readonly #thirds = new Uint8Array(256)

  /** Use {@link compileInterest}, which checks the keys. */
  constructor(keys: readonly InterestKey[], isChecked: boolean) {
    this.keys = keys
    this.isEmpty = keys.length === 0
    this.isChecked = isChecked
    const texts = keys.map(({ key }) => Buffer.from(isPrefix(key) ? key.slice(0, -1) : key))
    this.#bytes = Buffer.concat(texts)
    this.#starts = new Int32Array(keys.length)
    this.#lengths = Uint8Array.from(texts, text => text.length)
    this.#levels = Uint8Array.from(keys, ({ at }) => levelBits(at))
    this.#next = new Int16Array(keys.length).fill(-1)
    // Eight slots a key: most keys that are not wanted meet an empty one.
    this.#mask = 2 ** Math.ceil(Math.log2(Math.max(8, keys.length * 8))) - 1
    this.#slots = new Int16Array(this.#mask + 1).fill(-1)
    let start = 0
    for (const [index, text] of texts.entries()) {
      this.#starts[index] = start
      start += text.length
      const prefix = isPrefix(keys[index]?.key ?? '')
      const heads = prefix ? this.#prefixes : this.#slots
      if (prefix && text.length < 3) this.#thirds.fill(1)
      else if (prefix) this.#thirds[text[2] as number] = 1
      const head = prefix ? (text[0] as number) : hash(text, 0, text.length) & this.#mask
      this.#next[index] = heads[head] as number
      heads[head] = index
    }
  }

  /** The index of a key in the list, as hits name it. -1: not in the list. */
  indexOf(key: string): number {
    return this.keys.findIndex(entry => entry.key === key)
  }

  /** Whether {@link find} has to be asked: for a key that is not wanted it hardly ever has. */
  mayWant(bytes: Uint8Array, start: number, end: number): boolean {
    if (start === end) return false
    const slot = this.#slots[hash(bytes, start, end) & this.#mask] as number
    return slot >= 0 || this.#prefix(bytes, start, end) >= 0
  }

  /** The index of the key that these bytes are, if it is wanted at this level, else -1. Exact keys first. */
  find(bytes: Uint8Array, start: number, end: number, level: number): number {
    if (start === end) return -1
    const index = this.#slots[hash(bytes, start, end) & this.#mask] as number
    const prefix = this.#prefix(bytes, start, end)
    // Nearly every key ends here: the rest is apart, so that this is inlined where it is asked.
    return index < 0 && prefix < 0 ? -1 : this.#search(index, prefix, bytes, start, end, level)
  }

  /** The head of the chain in which a prefix of these bytes would be; -1: there is none. */
  #prefix(bytes: Uint8Array, start: number, end: number): number {
    const head = this.#prefixes[bytes[start] as number] as number
    if (head < 0 || end - start < 3) return head
    return this.#thirds[bytes[start + 2] as number] === 1 ? head : -1
  }

  #search(
    exact: number,
    prefix: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    level: number,
  ): number {
    for (let index = exact; index >= 0; index = this.#next[index] as number) {
      if (this.#lengths[index] !== end - start) continue
      if (this.#wants(index, level, bytes, start)) return index
    }
    for (let index = prefix; index >= 0; index = this.#next[index] as number) {
      if ((this.#lengths[index] as number) > end - start) continue
      if (this.#wants(index, level, bytes, start)) return index
    }
    return -1
  }

  /** Compares from the end: keys of one convention differ there. */
  #wants(index: number, level: number, bytes: Uint8Array, start: number): boolean {
    if ((((this.#levels[index] as number) >>> level) & 1) === 0) return false
    const from = this.#starts[index] as number
    const own = this.#bytes
    for (let i = (this.#lengths[index] as number) - 1; i >= 0; i--) {
      if (own[from + i] !== bytes[start + i]) return false
    }
    return true
  }
}

/**
 * Checks and compiles. The indices of hits are positions in `keys`; a key listed twice throws, for
 * only one of the two could ever be found, and so does one that is empty or too long: RangeError,
 * for lists are code or were checked where they came in. `isChecked`: the list is for bytes that a scan
 * has taken before, so that values nobody wants need not be checked again.
 */
export function compileInterest(keys: readonly InterestKey[], isChecked = false): Interest {
  if (keys.length > interestKeysMax) throw new RangeError(`more than ${interestKeysMax} keys`)
  const seen = new Set<string>()
  for (const { key, at } of keys) {
    const length = Buffer.byteLength(isPrefix(key) ? key.slice(0, -1) : key)
    if (length === 0 || length > interestKeyBytesMax) {
      throw new RangeError(
        `attribute key ${JSON.stringify(key)}: 1 to ${interestKeyBytesMax} bytes`,
      )
    }
    if (seen.has(key)) throw new RangeError(`attribute key ${key} is listed twice`)
    if (at.length === 0) throw new RangeError(`attribute key ${key} is wanted at no level`)
    seen.add(key)
  }
  return new Interest(keys, isChecked)
}

/** For a scan that wants ids, times and limits alone. */
export const noInterest = compileInterest([])

function isPrefix(key: string): boolean {
  return key.endsWith('*')
}

function levelBits(levels: readonly AttributeLevel[]): number {
  let bits = 0
  for (const level of levels) bits |= 1 << attributeLevel[level]
  return bits
}

function hash(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  const last = bytes[end - 1] as number
  const middle = bytes[start + (length >>> 1)] as number
  return length * 31 + last * 7 + middle * 13
}
