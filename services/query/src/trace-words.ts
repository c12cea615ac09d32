// Hot: once a counting decision.

/** The four big-endian words of a trace id. False where the text is not 32 lower-case hex digits. */
export function traceWords(traceId: string, words: Uint32Array): boolean {
  if (traceId.length !== 32) return false
  for (let word = 0; word < 4; word++) {
    let value = 0
    for (let at = 8 * word; at < 8 * word + 8; at++) {
      const code = traceId.charCodeAt(at)
      const digit = code - (code < 58 ? 48 : 87)
      if (!(digit >= 0 && digit <= 15) || (code > 57 && code < 97)) return false
      value = (value << 4) | digit
    }
    words[word] = value
  }
  return true
}

/** The text of the four words from `at` on. */
export function traceIdOfWords(words: Uint32Array, at: number): string {
  for (let word = 0; word < 4; word++) bytes.writeUInt32BE(words[at + word] as number, 4 * word)
  return bytes.toString('hex')
}

const bytes = Buffer.alloc(16)
