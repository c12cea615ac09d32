// Hot: numbers of dictionaries and null bits of every column.

/**
 * Parquet's RLE and bit-packing hybrid: eight or more of the same value are a run, what lies between
 * is packed in groups of eight. `bits` is the width of a value, 0 to 32.
 */
export function hybridBytes(values: Int32Array | Uint8Array, bits: number): Uint8Array {
  const width = (bits + 7) >> 3
  // At most: every group of eight packed, with a header of its own, or a run of eight.
  const groups = Math.ceil(values.length / 8)
  const out = new Uint8Array(groups * (Math.max(bits, width) + 5) + 16)
  let at = 0
  let packedFrom = 0
  let n = 0
  const packUpTo = (end: number): void => {
    if (end === packedFrom) return
    const count = Math.ceil((end - packedFrom) / 8)
    at = writeVar(out, at, ((count << 1) | 1) >>> 0)
    at = pack(out, at, values, packedFrom, end, bits)
  }
  while (n < values.length) {
    const value = values[n] as number
    let end = n + 1
    while (end < values.length && values[end] === value) end++
    // A run may only begin where the groups before it are full.
    const aligned = packedFrom + Math.ceil((n - packedFrom) / 8) * 8
    if (end - aligned >= 8) {
      packUpTo(aligned)
      at = writeVar(out, at, ((end - aligned) << 1) >>> 0)
      for (let byte = 0; byte < width; byte++) out[at++] = (value >>> (8 * byte)) & 0xff
      packedFrom = end
    }
    n = end
  }
  packUpTo(values.length)
  return out.subarray(0, at)
}

/** Places in a dictionary of `count` values, behind the byte that says their width. */
export function indexBytes(places: Int32Array, count: number): Uint8Array {
  const bits = count < 2 ? 0 : 32 - Math.clz32(count - 1)
  const runs = hybridBytes(places, bits)
  const body = new Uint8Array(runs.length + 1)
  body[0] = bits
  body.set(runs, 1)
  return body
}

function pack(
  out: Uint8Array,
  start: number,
  values: Int32Array | Uint8Array,
  from: number,
  to: number,
  bits: number,
): number {
  if (bits === 0) return start
  let at = start
  let held = 0
  let heldBits = 0
  const end = from + Math.ceil((to - from) / 8) * 8
  for (let n = from; n < end; n++) {
    let value = n < to ? (values[n] as number) : 0
    for (let left = bits; left > 0; ) {
      const taken = Math.min(left, 8 - heldBits)
      held |= (value & ((1 << taken) - 1)) << heldBits
      value >>>= taken
      left -= taken
      heldBits += taken
      if (heldBits < 8) continue
      out[at++] = held
      held = 0
      heldBits = 0
    }
  }
  return at
}

function writeVar(out: Uint8Array, start: number, value: number): number {
  let at = start
  let rest = value
  while (rest > 0x7f) {
    out[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  out[at++] = rest
  return at
}
