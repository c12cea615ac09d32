import type { Metrics } from '@winnow/runtime'
import { type StageName, stageNames } from './stage.ts'

type MetricKey = {
  [K in keyof Metrics]: Metrics[K] extends { reset(): void; remove(...labels: never[]): void }
    ? K
    : never
}[keyof Metrics]

/** Which stages count in a metric. A process shows those of its stages and no zeros of others. */
const stagesOf: Readonly<Record<MetricKey, readonly StageName[]>> = {
  spansReceived: ['receiver'],
  spansRejected: ['receiver', 'assembler', 'writer'],
  redacted: ['receiver'],
  unscanned: ['receiver', 'query'],
  requestsRefused: ['receiver'],
  bytesInFlight: ['receiver'],
  bytesInFlightMax: ['receiver'],
  sourceMessages: ['receiver'],
  sourceSetAside: ['receiver'],
  sourceLag: ['receiver'],
  openTraces: ['assembler'],
  tracesClosed: ['assembler'],
  duplicateSpans: ['assembler'],
  clockJumps: ['assembler'],
  checkpoints: ['assembler'],
  decisions: ['sampler'],
  tracesDecided: ['sampler'],
  tracesKept: ['sampler'],
  ruleMatches: ['sampler'],
  variantDecided: ['sampler'],
  variantCapUsed: ['sampler'],
  variantForecast: ['sampler'],
  variantShareMax: ['sampler'],
  ceilingUse: ['sampler'],
  ceilingThinned: ['sampler'],
  tracesRedecided: ['sampler'],
  variantKept: ['sampler'],
  keptRatio: ['sampler'],
  fullResolutionPerError: ['sampler'],
  decisionDelay: ['sampler'],
  rescued: ['sampler'],
  evaluations: ['sampler'],
  retractionsRefused: ['sampler'],
  evidenceMalformed: ['sampler'],
  ruleErrors: ['sampler'],
  policyInForce: ['sampler'],
  policyReloads: ['sampler'],
  policiesRefused: ['sampler'],
  shadowDecisions: ['sampler'],
  keptBytes: ['writer'],
  tierBytes: ['writer'],
  tierObjects: ['writer'],
  coldKeysUnlike: ['writer'],
  erasuresFailing: ['writer'],
  erasureOldestAsked: ['writer'],
  erasureFirstDue: ['writer'],
  tierObjectsExpired: ['writer'],
  tierBytesExpired: ['writer'],
  hotStoreItems: ['writer'],
  hotStoreRetries: ['writer'],
  hotStoreInFlight: ['writer'],
  hotStoreRejected: ['writer'],
  blobRequests: ['sampler', 'writer', 'query'],
  blobRetries: ['sampler', 'writer', 'query'],
  blobBytes: ['sampler', 'writer', 'query'],
  lostToRetention: ['assembler', 'sampler', 'writer'],
  ledgerImbalance: ['query'],
  traceBufferUp: ['assembler', 'writer', 'query'],
  traceBufferReads: ['writer'],
  traceBufferReadBytes: ['writer'],
  traceBufferReadSeconds: ['writer'],
  traceBufferPutBytes: ['assembler'],
  traceBufferLeftOut: ['assembler'],
  problems: stageNames,
  // Of the process: it asks the bus for all of its groups at once.
  busLagRecords: [],
  busLagSeconds: [],
  busRetention: [],
  diskFree: [],
  diskSize: [],
  admissionPressure: [],
  tlsCertificateExpires: [],
  reloads: [],
  // Of a command.
  auditFindings: [],
  auditDifference: [],
  auditFinished: [],
}

/** The metrics of one stage as JSON. */
export async function stageMetrics(stage: StageName, metrics: Metrics): Promise<object[]> {
  const own = Object.entries(stagesOf).filter(([, stages]) => stages.includes(stage))
  return Promise.all(own.map(([key]) => metrics[key as MetricKey].get()))
}

/** Those of the process itself: Node's, and how far its groups are behind. */
export async function processMetrics(metrics: Metrics): Promise<object[]> {
  const ofStages = await Promise.all(
    Object.entries(stagesOf)
      .filter(([, stages]) => stages.length > 0)
      .map(([key]) => metrics[key as MetricKey].get()),
  )
  const names = new Set(ofStages.map(({ name }) => name))
  const all = await metrics.registry.getMetricsAsJSON()
  return all.filter(({ name, values }) => !names.has(name) && values.length > 0)
}
