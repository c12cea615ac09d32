/**
 * One fixed block a span, so that folding overlapping slices needs no parse:
 *
 *   byte  0        8         12        16        20        24        32       36
 *         │ span id │ op hash │ start ms│ tokens  │ tokens  │ cost USD│ flags │
 *         │         │         │ offset  │ in      │ out     │ float64 │       │
 *
 * Little endian. `op hash` is FNV-1a of parent id and name: attempts of one operation share it.
 * `start ms offset` counts from the slice's `startNs`, saturating.
 */
export const spanBlockBytes = 36

export const blockAt = {
  spanId: 0,
  opHash: 8,
  startOffsetMs: 12,
  inputTokens: 16,
  outputTokens: 20,
  costUsd: 24,
  flags: 32,
} as const

export const blockFlag = {
  /** Status ERROR. */
  error: 1,
  /** No parent. */
  root: 2,
  /** SERVER, CONSUMER or remote parent flag, with a parent. */
  entry: 4,
} as const

/** FNV-1a, 32 bit, over a range of bytes; `seed` continues an earlier hash. */
export function fnv1a(bytes: Uint8Array, start: number, end: number, seed = 0x811c9dc5): number {
  let hash = seed
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193)
  return hash >>> 0
}
