// Hot: asked for every short text.
import { readToken } from './detect/token-shape.ts'

/** Keys whose value is a secret whatever it looks like. */
const secretKey =
  /(?:^|[._\-/])(?:password|passwd|pwd|passphrase|secret|client[_-]?secret|api[_-]?key|apikey|access[_-]?key|secret[_-]?key|private[_-]?key|(?:auth|access|refresh|id|bearer|api|bot)[_-]?token|authorization|proxy-authorization|cookie|set-cookie)$/i

/** Spares the long one for nearly every id. */
const mayEnd = /[dtynes]$/i

export function holdsSecret(key: string): boolean {
  return key.length <= keyBytesMax && mayEnd.test(key) && secretKey.test(key)
}

const hidden =
  /^(?:[*x.]+|\[?(?:redacted|filtered|hidden)\]?|__REDACTED__|<(?:withheld|unscanned)>)$/i

/** Whether a secret was taken out already: hidden at its source, or a token by who redacted before. */
export function isHidden(text: string): boolean {
  return hidden.test(text) || readToken(text) !== undefined
}

/** Longer keys are prose, and no field is called like that. */
export const keyBytesMax = 128

const slotBits = 9
const slots = 1 << slotBits
/** Longer texts are not remembered. */
export const knownTextBytesMax = 64

/**
 * Nothing is sought in a clean text. Above `clean` the answer says what the text is as a key: so much more as
 * `keyNatureOf` says.
 */
export const knownText = { unknown: 0, clean: 1 } as const

/**
 * Short texts that come again and again - keys, names of spans, of models - and what was found out about them,
 * so that each is looked at once as long as it keeps its slot. 33 KiB.
 */
export class KnownTexts {
  readonly #bytes = new Uint8Array(slots * knownTextBytesMax)
  readonly #lengths = new Uint8Array(slots)
  readonly #answers = new Uint8Array(slots)

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
