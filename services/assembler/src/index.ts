export { Assembler, type AssemblerOptions } from './assembler.ts'
export { type AssemblerConfig, assemblerConfigSchema } from './config.ts'
export type { PendingTrace, ReadSlice } from './partition-fold.ts'
export { sliceReader } from './read-slices.ts'
