export { Assembler, type AssemblerOptions, type PendingTrace } from './assembler.ts'
export { type AssemblerConfig, assemblerConfigSchema } from './config.ts'
export type { ReadSlice } from './partition-fold.ts'
export { sliceReader } from './read-slices.ts'
