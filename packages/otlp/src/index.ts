export { arrayLength } from './array-length.ts'
export { AttributeHits, valueType } from './attribute-hits.ts'
export { ByteSink } from './byte-sink.ts'
export { decodeSpan, decodeTraces } from './decode.ts'
export { decodeLogs } from './decode-logs.ts'
export { encodeLogs, encodeTraces } from './encode.ts'
export { type Classification, classify, type GenAiKind } from './genai/classify.ts'
export {
  type GenAiMeaning,
  genAiContentPrefixes,
  genAiNames,
  redactedPlaceholder,
} from './genai/names.ts'
export {
  type Facets,
  facetsOf,
  type GenAiBrief,
  type GenAiView,
  genAiBrief,
  genAiView,
  isBriefKey,
} from './genai/view.ts'
export { HeadTable, PieceList } from './head-table.ts'
export {
  type AttributeLevel,
  attributeLevel,
  compileInterest,
  type Interest,
  type InterestKey,
  interestKeyBytesMax,
  interestKeysMax,
  noInterest,
} from './interest.ts'
export { logsFromJson, tracesFromJson } from './json.ts'
export { type Rejection, rejectionsDescribedMax } from './json-envelope.ts'
export { jsonContainersMax, jsonDepthMax, parseJsonText } from './json-text.ts'
export { countDataPoints, countDataPointsInJson } from './metrics.ts'
export {
  type AnyValue,
  anyValueDepthMax,
  type EntityRef,
  emptySpan,
  type InstrumentationScope,
  type KeyValue,
  type LogRecord,
  type LogsData,
  type Resource,
  type ResourceLogs,
  type ResourceSpans,
  type ScopeLogs,
  type ScopeSpans,
  type Span,
  type SpanEvent,
  type SpanLink,
  type SpanStatus,
  type TracesData,
} from './otlp.ts'
export { Composer, type ComposerOptions, type RegroupLimits, regroupLimits } from './regroup.ts'
export {
  rewriteStrings,
  type StringRewriter,
  type TextPlace,
  textPlace,
} from './rewrite-strings.ts'
export { scanTraces } from './scan.ts'
export { SliceLayout, tenantRunsOf } from './slice-layout.ts'
export { SliceIds, scanSlices } from './slice-scan.ts'
export { type SpanProblem, SpanTable, scanRowsMax, spanProblem } from './span-table.ts'
export {
  decodeExportResponse,
  decodeStatus,
  type ExportResult,
  encodeExportResponse,
  encodeStatus,
  exportResponseFromJson,
  exportResponseToJson,
  fullSuccess,
  type RpcStatus,
  type Signal,
  statusFromJson,
  statusToJson,
} from './status.ts'
export {
  type AnyValueJson,
  anyValueToJson,
  attributesToJson,
  type KeyValueJson,
  logsToJson,
  type ResourceJson,
  resourceToJson,
  type ScopeJson,
  type SpanJson,
  scopeToJson,
  spanToJson,
  tracesToJson,
} from './to-json.ts'
export { groupDepthMax, messagesMax } from './wire.ts'
export { scanBytesMax } from './wire-scan.ts'
