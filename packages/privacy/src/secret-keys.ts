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
