export { apiKeysOf } from './api-keys.ts'
export { type Bench, coreRate } from './bench.ts'
export { type CertificateOptions, TestAuthority, type TestCertificate } from './certificates.ts'
export { changedJson } from './changed-json.ts'
export { type EvaluationTarget, postEvaluations } from './evaluation-client.ts'
export { type OracleInput, type OracleVerdict, oracle, type TraceKey, traceKey } from './oracle.ts'
export {
  defaultOraclePolicy,
  type OracleEvaluation,
  type OraclePolicy,
  type OracleRuleName,
} from './oracle-policy.ts'
export {
  OtlpClient,
  type OtlpClientOptions,
  type OtlpTransport,
  requestBytes,
} from './otlp-client.ts'
export type { OtlpAnswer } from './otlp-wire.ts'
export { checkP99, percentile } from './percentiles.ts'
export { Random } from './random.ts'
export { type SentSpan, sameSpans, sentSpans } from './sent-span.ts'
export {
  type Trace48fChanges,
  type Trace48fSpan,
  trace48f,
  trace48fId,
  trace48fRequests,
  trace48fSpanIds,
  trace48fStartMs,
} from './trace-48f.ts'
export {
  trace48fTwin,
  trace48fTwinChanges,
  trace48fTwinId,
  trace48fTwinRequests,
} from './trace-48f-twin.ts'
export { agentTraffic, type Traffic, type TrafficEvent, trafficEvents } from './traffic.ts'
export type { TrafficRequest } from './traffic-exporters.ts'
export {
  type ClassRates,
  defaultFeatures,
  defaultRates,
  type EvaluationDelays,
  type FeatureRates,
  type TraceClass,
  type TrafficOptions,
} from './traffic-options.ts'
export { activeVariant, type Failure, type Shape, type Told } from './traffic-story.ts'
export type { TraceTruth } from './traffic-trace.ts'
export { evaluationBody, type TrafficEvaluation } from './traffic-verdicts.ts'
