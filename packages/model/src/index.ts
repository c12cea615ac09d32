export { assertNever } from './assert-never.ts'
export {
  columnBytesMax,
  columnMistake,
  columnsMax,
  ownColumn,
  rowsBytesMax,
  rowsMax,
} from './columns.ts'
export {
  type CountedRecord,
  type CountingState,
  countingStart,
  countRecord,
  startOfCounting,
} from './counting.ts'
export {
  type Cause,
  type Claim,
  type DecidedEvaluation,
  type DecidedRequest,
  type DecidedRetraction,
  type Decision,
  type DecisionHead,
  type DecisionRecord,
  decisionBytesMax,
  type EvaluationEffect,
  type RuleAnswer,
  refsMax,
  type ShadowVerdict,
  seriesBytesMax,
  seriesRefsMax,
  sliceBytesMax,
  slicesBytesMax,
  type Verdict,
} from './decision.ts'
export {
  decisionMember,
  headEnd,
  jsonText,
  readDecisionVersion,
  readMatched,
} from './decision-members.ts'
export {
  decisionFormat,
  type ParsedDecision,
  parseDecision,
  parseDecisionHead,
  parseHeadAlone,
  slicesText,
} from './decision-record.ts'
export { type DropOutline, dropSlicesFrom, readDrop } from './drop-reader.ts'
export {
  type EvaluationInput,
  type EvaluationLimits,
  type EvaluationMistake,
  type EvaluationMistakeCode,
  evaluationError,
  evaluationIdCharsMax,
  evaluationLimits,
  evaluationMistakesMax,
  evaluationNameBytesMax,
  evaluationStatus,
  evaluationsAccepted,
  evaluationsFrom,
  type OutcomeRecord,
  type Speaker,
  takesBack,
} from './evaluation-input.ts'
export {
  type CloseReason,
  type Evaluation,
  type EvaluationRecord,
  type Evidence,
  evaluationBytesMax,
  type RescueRequest,
  type RetractionRecord,
  requestReasonBytesMax,
  retractionBytesMax,
  type Slice,
  type Summary,
} from './evidence.ts'
export type { SliceLists } from './fact-lists.ts'
export { expandFactText, factToken, spanIdToken } from './fact-tokens.ts'
export {
  type ErrorFact,
  factListMax,
  factTextBytesMax,
  type HiddenCell,
  type RootFact,
  type SliceFacts,
  type SpanCell,
  type SpanOutcome,
  type SpanRow,
} from './facts.ts'
export {
  acceptsVersion,
  type FormatName,
  formatNames,
  formats,
  isNewerVersion,
  readVersions,
  writePreviousFormats,
  writtenVersion,
} from './formats.ts'
export { JsonReader, nothing } from './json-reader.ts'
export { idText, nanosText } from './number-text.ts'
export {
  mapped,
  noOutcomeMap,
  type OutcomeCondition,
  OutcomeMap,
  type OutcomeRule,
  settled,
} from './outcome-map.ts'
export {
  PackedSlice,
  packedOutcomes,
  packedSlices,
  packedSlicesOf,
  spanColumns,
  unpackSlices,
} from './packed-slice.ts'
export { PackedSliceReader } from './packed-slice-reader.ts'
export {
  endOfSpan,
  packedSpanBytesMax,
  packedSpanBytesMin,
  packedSpanFlag,
  readSpanIds,
  type SpanColumns,
  wordAt,
} from './packed-spans.ts'
export { packedHeadBytesMax, packSlice, SlicePacker } from './slice-packer.ts'
export { blockAt, blockFlag, fnv1a, spanBlockBytes } from './span-blocks.ts'
export { compareRefs, refKey, type SpanRef } from './span-ref.ts'
export { decodeTenantRuns, encodeTenantRuns, type TenantRun } from './tenant-runs.ts'
export {
  parseThreshold,
  probabilityOf,
  randomnessHex,
  randomnessOf,
  thresholdOf,
  thresholdText,
} from './threshold.ts'
export { parseTraceId, type TraceId } from './trace-id.ts'
