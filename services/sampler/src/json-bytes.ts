// Hot: every character of a decision but those of its slices. No string is made, none is flattened.

/**
 * JSON written straight into one buffer that is used again and again. What does not fit is left out and
 * counted: `length` is then more than the capacity, and the bytes are of no use.
 */
export class JsonBytes {
  /** Bytes written since `clear`. */
  length = 0
  readonly #bytes: Buffer

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity)
  }

  clear(): void {
    this.length = 0
  }

  /** Borrowed: valid until the next `clear`. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }

  /** ASCII that is JSON already, and short. */
  raw(text: string): void {
    const bytes = this.#bytes
    let at = this.length
    // A typed array takes no notice of an index behind its end.
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i)
    this.length = at
  }

  /** Any text that is JSON already. */
  json(text: string): void {
    if (this.length + text.length * 3 > this.#bytes.length) {
      const bytes = Buffer.byteLength(text)
      if (this.length + bytes > this.#bytes.length) {
        this.length += bytes
        return
      }
    }
    this.length += this.#bytes.write(text, this.length)
  }

  /** ASCII of any length that is JSON already. */
  ascii(text: string): void {
    if (this.length + text.length <= this.#bytes.length) {
      this.#bytes.write(text, this.length, 'latin1')
    }
    this.length += text.length
  }

  /** A string; nearly every one here is short and has nothing to escape. */
  text(text: string): void {
    if (!this.#plain(text)) this.json(JSON.stringify(text))
  }

  textOrNull(text: string | null): void {
    if (text === null) this.raw('null')
    else this.text(text)
  }

  /** What JSON cannot say becomes null, as in JSON.stringify. */
  number(value: number | null): void {
    if (value === null || !Number.isFinite(value)) this.raw('null')
    else if (Number.isSafeInteger(value) && value >= 0) this.#digits(value)
    else this.raw(`${value}`)
  }

  scalar(value: number | string | boolean): void {
    if (typeof value === 'string') this.text(value)
    else if (typeof value === 'number') this.number(value)
    else this.raw(value ? 'true' : 'false')
  }

  /** False, with nothing written, where the text is longer or has to be escaped. */
  #plain(text: string): boolean {
    if (text.length > plainCharsMax) return false
    const bytes = this.#bytes
    let at = this.length
    bytes[at++] = 0x22
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false
      bytes[at++] = code
    }
    bytes[at++] = 0x22
    this.length = at
    return true
  }

  /** In two parts that are 32 bits each, whose division is not one of doubles. */
  #digits(value: number): void {
    if (value < splitAt) {
      this.#part(value, 1)
      return
    }
    const high = Math.floor(value / splitAt)
    this.#part(high, 1)
    this.#part(value - high * splitAt, splitDigits)
  }

  /** At least `digits` of them. */
  #part(value: number, digits: number): void {
    const bytes = this.#bytes
    let count = digits
    for (let power = 10 ** digits; power <= value; power *= 10) count++
    const end = this.length + count
    let rest = value | 0
    for (let at = end - 1; at >= this.length; at--) {
      const tens = (rest / 10) | 0
      bytes[at] = 0x30 + (rest - tens * 10)
      rest = tens
    }
    this.length = end
  }
}

/** Safe integers are below 10^16. */
const splitAt = 1e8
const splitDigits = 8
const plainCharsMax = 80
