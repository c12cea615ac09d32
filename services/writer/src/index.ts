export { type WriterConfig, writerConfigSchema } from './config.ts'
export { Writer, type WriterOptions } from './writer.ts'
