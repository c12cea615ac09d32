import { MemoryPool } from '@winnow/runtime'

/** Memory for batches, of the whole process: as much as a few requests of every topic hold at once. */
export const batchMemory = new MemoryPool(64 * 1024 * 1024)
