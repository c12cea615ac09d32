// Hot: asked for bytes of every string that is looked at.

export const digit = 1
export const upper = 2
export const lower = 4
/** A byte of a character beyond ASCII. */
export const high = 8
/** What a mail's local part may have beside letters and digits. */
export const localMark = 16
/** What a number may have between its groups. */
export const separator = 32
/** What base64 has beside letters and digits, in either alphabet. */
export const base64Mark = 64

export const letter = upper | lower
export const alnum = digit | upper | lower

export const byteClass: Uint8Array = new Uint8Array(256)
for (let code = 0; code < 256; code++) {
  const char = String.fromCharCode(code)
  let bits = 0
  if (char >= '0' && char <= '9') bits |= digit
  if (char >= 'A' && char <= 'Z') bits |= upper
  if (char >= 'a' && char <= 'z') bits |= lower
  if (code >= 128) bits |= high
  if ("._%+-'".includes(char)) bits |= localMark
  if (' .-/()'.includes(char)) bits |= separator
  if ('+/-_'.includes(char)) bits |= base64Mark
  byteClass[code] = bits
}

export function classAt(bytes: Uint8Array, at: number): number {
  return byteClass[bytes[at] as number] as number
}

const backslash = 0x5c

/**
 * Whether a word may begin at `at`: nothing stands before it, or nothing that belongs to it. The letter of
 * an escape, as in `\n415…`, belongs to the escape.
 */
export function beginsWord(bytes: Uint8Array, at: number, start: number): boolean {
  if (at <= start) return true
  const before = bytes[at - 1] as number
  if (((byteClass[before] as number) & alnum) === 0 && before !== 0x5f) return true
  return at - 2 >= start && bytes[at - 2] === backslash && isEscapeLetter(before)
}

/** `n`, `t`, `r`, `b`, `f`: what may follow a backslash in JSON, quotes and slashes apart. */
export function isEscapeLetter(byte: number): boolean {
  return byte === 0x6e || byte === 0x74 || byte === 0x72 || byte === 0x62 || byte === 0x66
}

/** Latin-1, so that a position in the text is one in the bytes. */
export function textOf(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('latin1', from, to)
}

/** The same with the letters of escapes blank: in `\\nSSN 219…` they are no part of a word. */
export function contextOf(bytes: Buffer, from: number, to: number): string {
  const text = textOf(bytes, from, to)
  return text.includes('\\') ? text.replaceAll(/\\[nrtbf]/g, '  ') : text
}
