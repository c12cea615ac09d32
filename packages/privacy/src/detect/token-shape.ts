/** Hexadecimal digits of a token: one for the key, the others for the thing. */
export const tokenDigits = 12

/** Longest word of a token. */
export const kindCharsMax = 24

/** What a token's word may be: also the type of a configured pattern. */
export const kindShape: RegExp = /^[a-z][a-z0-9_]{0,23}$/

/** Stands for a text that nobody could look at. */
export const unscanned = '<unscanned>'

/** `<email:e_4f81a09c2b17>`. */
export function tokenOf(kind: string, keyId: number, digits: string): string {
  return `<${kind}:e_${keyId.toString(16)}${digits}>`
}

const shape = '<([a-z][a-z0-9_]{0,23}):e_([0-9a-f])([0-9a-f]{11})>'
const whole = new RegExp(shape, 'y')

/** Where the token ends that begins at `at`, else `at`. */
export function tokenEnd(bytes: Buffer, at: number, end: number): number {
  const next = bytes[at + 1] as number
  if (next < 0x61 || next > 0x7a) return at
  whole.lastIndex = 0
  const text = bytes.toString('latin1', at, Math.min(end, at + kindCharsMax + tokenDigits + 5))
  return at + (whole.exec(text)?.[0].length ?? 0)
}

/** What a token says: its kind and which of a tenant's keys made it. Undefined: it is none. */
export function readToken(
  text: string,
): { readonly kind: string; readonly keyId: number } | undefined {
  whole.lastIndex = 0
  const [found, kind, keyId] = whole.exec(text) ?? []
  if (found !== text || kind === undefined || keyId === undefined) return undefined
  return { kind, keyId: Number.parseInt(keyId, 16) }
}

const anywhere = new RegExp(`${shape}|<(?:unscanned|withheld)>`, 'g')

/** The tokens of a text, and what stands for what was not handed on, in the order of their places. */
export function* eachToken(
  text: string,
): Generator<{ readonly start: number; readonly end: number }> {
  for (const { 0: token, index } of text.matchAll(anywhere)) {
    yield { start: index, end: index + token.length }
  }
}
