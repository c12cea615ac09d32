export { type WriterConfig, writerConfigSchema } from './config.ts'
export { IdIndexer, type IdIndexerOptions } from './id-index.ts'
export { Writer, type WriterOptions } from './writer.ts'
