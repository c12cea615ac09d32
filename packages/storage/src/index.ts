export { blobKeyBytesMax, blobNameBytesMax, checkBlobKey } from './blob-key.ts'
export type { BlobChange, BlobInfo, BlobStore } from './blob-store.ts'
export { coldRow, coldRows } from './cold-rows.ts'
export { factsJson, factsOnly } from './facts-only.ts'
export { FileBlobStore } from './file-blob-store.ts'
export { findInHold } from './holds/find-in-hold.ts'
export {
  encodeHold,
  type HeldLevel,
  type HoldContent,
  type HoldHead,
  holdBytesMax,
  holdHeadBytesMax,
  readHold,
  readHoldHead,
} from './holds/hold-file.ts'
export {
  type HoldName,
  holdKey,
  type ListedHold,
  listHolds,
  parseHoldKey,
} from './holds/hold-key.ts'
export {
  type HeldTrace,
  type HotCensus,
  type HotCount,
  type HotFrontier,
  heldTracesMax,
  hotGroups,
} from './hot-census.ts'
export { dayOf, endOf, type HotPeriod, hourOf } from './hot-period.ts'
export {
  defaultHotLife,
  type ErasedFromHot,
  type HeldPeriod,
  type HotBody,
  type HotLife,
  type HotStore,
  type HotTrace,
  type HotTraceRead,
  searchLimitMax,
  type TraceFilter,
  type TracePage,
} from './hot-store.ts'
export { cutIds } from './index/cut-ids.ts'
export {
  IdIndexBuilder,
  type IndexedSegment,
  idIndexFilesMax,
  idIndexRowsMax,
  idRowBytes,
  type LedgerPlace,
  lookUpInIdIndex,
  openIdIndex,
  partsOfIdIndex,
} from './index/id-index.ts'
export {
  idIndexFileOf,
  idIndexOf,
  type ListedIdIndex,
  type ListedIdIndexFile,
  listIdIndexes,
  listIdIndexFiles,
  wholeIdIndexes,
} from './index/id-index-list.ts'
export {
  type IdIndexName,
  idIndexKey,
  parseIdIndexKey,
  parseSnapshotKey,
  rangeDigitsMax,
  type SnapshotName,
  snapshotKey,
} from './index/index-key.ts'
export {
  type KeyedSnapshotEntry,
  latestSnapshot,
  lookUpInSnapshot,
  openSnapshot,
  readIndexSnapshot,
  type SnapshotEntries,
  type SnapshotEntry,
  type SnapshotHead,
  snapshotsKept,
  writeIndexSnapshot,
} from './index/index-snapshot.ts'
export type { Pause } from './index/sort-rows.ts'
export type { SortedFile } from './index/sorted-file.ts'
export { isClearValue } from './level-json.ts'
export { MemoryBlobStore } from './memory-blob-store.ts'
export { MemoryHotStore } from './memory-hot-store.ts'
export { MemoryTraceBuffer, type MemoryTraceBufferOptions } from './memory-trace-buffer.ts'
export {
  OpenSearchHotStore,
  type OpenSearchHotStoreOptions,
} from './opensearch/opensearch-hot-store.ts'
export { type OpenSearchSurvey, surveyOpenSearch } from './opensearch/opensearch-survey.ts'
export { isRedisAddress, redisAddressForms } from './redis/redis-address.ts'
export type { RedisAccess } from './redis/redis-client.ts'
export { type RedisSurvey, surveyRedis } from './redis/redis-survey.ts'
export { RedisTraceBuffer, type RedisTraceBufferOptions } from './redis/redis-trace-buffer.ts'
export { S3BlobStore } from './s3/s3-blob-store.ts'
export {
  type LifecycleProblem,
  type LifecycleSurvey,
  surveyLifecycle,
} from './s3/s3-lifecycle.ts'
export { type S3Class, type S3Options, s3Classes, s3PrefixBytesMax } from './s3/s3-options.ts'
export {
  countInSegment,
  type EraseRequest,
  eraseFromSegment,
  type SegmentErased,
} from './segments/erase-segment.ts'
export { erasedDecision } from './segments/erased-decision.ts'
export { findInLedger, findInSegment } from './segments/find-attribute.ts'
export type { LedgerEntry, LedgerRow } from './segments/ledger-row.ts'
export {
  decisionOf,
  type LedgerOutcomes,
  type LoggedDecision,
  ledgerEntry,
  ledgerOutcomes,
  ledgerRow,
  type SlicePlace,
} from './segments/ledger-rows.ts'
export { LedgerTable } from './segments/ledger-table.ts'
export { segmentRowsMax } from './segments/parquet-write.ts'
export {
  findLedgerRow,
  findTraceSpans,
  type ListedSegment,
  lastSegment,
  listLedgerMonth,
  listSegments,
  readAllLedger,
  readAllSpans,
  readLedgerRow,
  readSegmentMetadata,
  readTraceLedger,
  readTraceSpans,
  type SegmentRows,
  segmentOverhead,
  type WrittenSegment,
  writeSegment,
} from './segments/segment.ts'
export {
  dateOf,
  parseSegmentKey,
  type SegmentName,
  segmentKey,
  type Tier,
} from './segments/segment-key.ts'
export {
  erasuresNamedMax,
  type SegmentErasure,
  type SegmentMetadata,
  segmentFormat,
  unknownDigest,
} from './segments/segment-metadata.ts'
export { SegmentSpans } from './segments/segment-spans.ts'
export { emptyPack, SpanPack } from './span-pack.ts'
export { compareSpans, type SpanRow } from './span-row.ts'
export { type DecodedSlice, isUnread, type RowDecision, spanRows } from './span-rows.ts'
export { SqliteHotStore } from './sqlite-hot-store.ts'
export type { BufferedRange, BufferedRecord, Checkpoint, TraceBuffer } from './trace-buffer.ts'
