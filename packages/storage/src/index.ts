export { blobKeyBytesMax, blobNameBytesMax, checkBlobKey } from './blob-key.ts'
export type { BlobInfo, BlobStore } from './blob-store.ts'
export { coldRow, coldRows } from './cold-rows.ts'
export { factsOnly, rememberText } from './facts-only.ts'
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
export { MemoryTraceBuffer, type MemoryTraceBufferOptions } from './memory-trace-buffer.ts'
export type { LedgerRow } from './segments/ledger-row.ts'
export { decisionOf, ledgerRow } from './segments/ledger-rows.ts'
export { segmentRowsMax } from './segments/parquet-write.ts'
export {
  type ListedSegment,
  lastSegment,
  listSegments,
  readAllLedger,
  readAllSpans,
  readSegmentMetadata,
  readTraceLedger,
  readTraceSpans,
  type SegmentRows,
  segmentSpanRows,
  type WrittenSegment,
  writeSegment,
} from './segments/segment.ts'
export { parseSegmentKey, type SegmentName, segmentKey, type Tier } from './segments/segment-key.ts'
export { type SegmentMetadata, segmentFormat } from './segments/segment-metadata.ts'
export type { SpanRow } from './span-row.ts'
export { type DecodedSlice, spanRows } from './span-rows.ts'
export { SqliteHotStore } from './sqlite-hot-store.ts'
export type { BufferedRange, BufferedRecord, Checkpoint, TraceBuffer } from './trace-buffer.ts'
