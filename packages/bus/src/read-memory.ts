import type { ReadMemory } from './bus.ts'

/**
 * Memory that one reader's batches share. It grows to the largest and costs no fresh pages after: on a
 * busy log these cost more than the copy, and memory outside of the heap makes the collector run.
 */
export function reusedMemory(): ReadMemory {
  let memory = Buffer.alloc(0)
  return bytes => {
    if (memory.length < bytes) {
      memory = Buffer.allocUnsafeSlow(Math.max(memoryBytesMin, 2 ** Math.ceil(Math.log2(bytes))))
    }
    return memory
  }
}

/** A few growths at most, from here to the largest batch. */
const memoryBytesMin = 16 * 1024

export const freshMemory: ReadMemory = bytes => Buffer.allocUnsafeSlow(bytes)
