// Hot: once a slice of `spans`, and once a slice of every counting decision.

/**
 * 32 bits of what a slice is: its length, tenant, trace and the ids of its spans in order. Made from the
 * bytes on `spans` and again from what a decision says of the slice, so that a decision which names
 * somebody else's bytes, or states other spans than lie there, is seen without keeping any id.
 */
export function sliceCheck(
  tenant: number,
  byteLength: number,
  traceIds: Uint32Array,
  traceAt: number,
  spanIds: Uint32Array,
  spanFrom: number,
  spanCount: number,
): number {
  let hash = mix(tenant, byteLength)
  for (let at = traceAt; at < traceAt + 4; at++) hash = mix(hash, traceIds[at] as number)
  for (let at = 2 * spanFrom; at < 2 * (spanFrom + spanCount); at++) {
    hash = mix(hash, spanIds[at] as number)
  }
  return hash >>> 0
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85ebca6b)
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35)
}
