export type { BlobInfo, BlobStore } from './blob-store.ts'
export type {
  HotBody,
  HotStore,
  HotTrace,
  HotTraceRead,
  TraceFilter,
  TracePage,
} from './hot-store.ts'
export type { SpanRow } from './span-row.ts'
