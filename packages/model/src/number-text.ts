// Hot: a few texts a slice.

/** Unix nanoseconds, given as two words, in decimal. A double cannot hold them. */
export function nanosText(hi: number, lo: number): string {
  // Long division by 1e9, 16 bits at a time: each step stays below 2^53.
  let seconds = 0
  let rest = 0
  for (let limb = 0; limb < 4; limb++) {
    const word = limb < 2 ? hi : lo
    const current = rest * 0x1_0000 + ((limb & 1) === 0 ? word >>> 16 : word & 0xffff)
    const quotient = Math.floor(current / 1e9)
    rest = current - quotient * 1e9
    seconds = seconds * 0x1_0000 + quotient
  }
  return seconds === 0 ? String(rest) : String(seconds) + String(1e9 + rest).slice(1)
}

/** Two words as 16 hex digits. */
export function idText(hi: number, lo: number): string {
  return wordText(hi) + wordText(lo)
}

function wordText(word: number): string {
  return (
    (hexOfByte[word >>> 24] as string) +
    hexOfByte[(word >>> 16) & 255] +
    hexOfByte[(word >>> 8) & 255] +
    hexOfByte[word & 255]
  )
}

/** `toString(16)` goes by way of a double and was a sixth of the assembler. */
const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
