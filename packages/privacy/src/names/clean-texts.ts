import { hash } from 'node:crypto'

/** Texts that are remembered; half of them may be of the generation before. */
export const cleanTextsMax = 8_192
/** Of a longer text its hash is remembered. */
const charsMax = 64
/** A detector may be given another model: what it said counts for so long, and as long again at most. */
const agesAtMs = 10 * 60_000

/** Texts of one language that had no name in them, so that `Refund`, or a prompt of every request, is asked about once. */
export class CleanTexts {
  readonly #nowMs: () => number
  #young = new Set<string>()
  #old = new Set<string>()
  #turnedAtMs: number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
    this.#turnedAtMs = nowMs()
  }

  has(text: string): boolean {
    this.#turnIfDue()
    const key = keyOf(text)
    return this.#young.has(key) || this.#old.has(key)
  }

  add(text: string): void {
    this.#turnIfDue()
    this.#young.add(keyOf(text))
  }

  #turnIfDue(): void {
    const isAged = this.#nowMs() - this.#turnedAtMs >= agesAtMs
    if (!isAged && this.#young.size < cleanTextsMax / 2) return
    this.#old = this.#young
    this.#young = new Set()
    this.#turnedAtMs = this.#nowMs()
  }
}

/** No short text is the key of a long one. */
function keyOf(text: string): string {
  return text.length <= charsMax ? `=${text}` : `#${hash('sha256', text, 'base64')}`
}
