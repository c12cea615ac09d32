export { type WriterConfig, writerConfigSchema } from './config.ts'
export { Eraser, type EraserOptions } from './erase/eraser.ts'
export {
  type ErasureAsked,
  ErasureDesk,
  type ErasurePage,
  type ErasureRequest,
  erasureValueLengthMax,
  type RedactedText,
  type ShownErasure,
} from './erase/erasure-desk.ts'
export {
  type Erasure,
  type ErasureState,
  erasureByBytesMax,
  erasureChunkTraces,
  erasuresMax,
  erasureTracesMax,
  isActive,
} from './erase/erasure-record.ts'
export { Erasures, type ErasuresOptions } from './erase/erasures.ts'
export { IdIndexer, type IdIndexerOptions } from './id-index.ts'
export { hotGroup, segmentsGroup, Writer, type WriterOptions } from './writer.ts'
