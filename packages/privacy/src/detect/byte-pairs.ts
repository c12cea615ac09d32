// Hot: what is in a text is looked for two bytes at a time.

let viewed: ArrayBufferLike | undefined
let view: Uint16Array = new Uint16Array()

/**
 * The memory that `bytes` lies in as aligned pairs: pair `i` is its bytes `2 i` and `2 i + 1`, counted from the
 * beginning of that memory. The last one is kept, as the strings of a request lie in one.
 */
export function pairsOf(bytes: Uint8Array): Uint16Array {
  const memory = bytes.buffer
  if (memory !== viewed) {
    viewed = memory
    view = new Uint16Array(memory, 0, memory.byteLength >> 1)
  }
  return view
}

/** A table over pairs of bytes from one over bytes: what either of both has. */
export function eitherOf(table: Uint8Array): Uint8Array {
  const pairs = new Uint8Array(65_536)
  for (let pair = 0; pair < pairs.length; pair++) {
    pairs[pair] = (table[pair & 255] as number) | (table[pair >> 8] as number)
  }
  return pairs
}
