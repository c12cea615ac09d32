// Hot: every pack and every decision that a segment gathers lies in one of these.

/** Large enough that there are few, small enough that one long-lived piece keeps little else. */
export const slabBytes = 256 * 1024

let slab = Buffer.allocUnsafeSlow(0)
let used = 0

/**
 * Memory for `length` bytes that lives as long as its neighbours, roughly. A buffer of its own for each
 * of some hundred thousand pieces of a few KB costs the collector more than what is in them.
 */
export function slabOf(length: number): Buffer {
  if (length > slabBytes / 4) return Buffer.allocUnsafeSlow(length)
  if (used + length > slab.length) {
    slab = Buffer.allocUnsafeSlow(slabBytes)
    used = 0
  }
  used += length
  return slab.subarray(used - length, used)
}
