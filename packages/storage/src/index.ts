export { blobKeyBytesMax, blobNameBytesMax, checkBlobKey } from './blob-key.ts'
export type { BlobInfo, BlobStore } from './blob-store.ts'
export { coldRow, coldRows } from './cold-rows.ts'
export { FileBlobStore } from './file-blob-store.ts'
export {
  defaultHotLife,
  type HotBody,
  type HotLife,
  type HotStore,
  type HotTrace,
  type HotTraceRead,
  searchLimitMax,
  type TraceFilter,
  type TracePage,
} from './hot-store.ts'
export { MemoryBlobStore } from './memory-blob-store.ts'
export { MemoryHotStore } from './memory-hot-store.ts'
export type { SpanRow } from './span-row.ts'
export { type DecodedSlice, spanRows } from './span-rows.ts'
export { SqliteHotStore } from './sqlite-hot-store.ts'
