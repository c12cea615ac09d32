import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Distinct values of a tenant or service label; whatever comes after them is `other`. */
export const labelValuesMax = 200

/**
 * Every metric of the pipeline, by the names of the documentation: the whole telemetry surface on one
 * screen. Hot loops count in plain fields and hand sums over in batches.
 */
export class Metrics {
  readonly registry = new Registry()
  readonly #values = new Map<string, Set<string>>()

  readonly spansReceived = this.#counter('winnow_spans_received_total', 'Spans acknowledged.', [
    'tenant',
    'transport',
  ])
  readonly spansRejected = this.#counter('winnow_spans_rejected_total', 'Spans refused.', [
    'reason',
  ])
  readonly redacted = this.#counter(
    'winnow_redacted_total',
    'Things that a token has taken the place of before the bus, by what they are; service: that of the spans.',
    ['kind', 'service'],
  )
  readonly unscanned = this.#counter(
    'winnow_unscanned_texts_total',
    'Texts that became <unscanned>, because the detector of names did not look at them: down, late, refused, malformed, too_large, too_many.',
    ['tenant', 'reason'],
  )
  readonly requestsRefused = this.#counter(
    'winnow_requests_refused_total',
    'Requests refused as a whole.',
    ['reason'],
  )
  readonly bytesInFlight = this.#gauge(
    'winnow_receiver_inflight_bytes',
    'Bytes of requests that are being received and made durable.',
    [],
  )
  readonly bytesInFlightMax = this.#gauge(
    'winnow_receiver_inflight_bytes_max',
    'receiver.inflightBytesMax: over it requests are refused.',
    [],
  )
  readonly sourceMessages = this.#counter(
    'winnow_source_messages_total',
    'Messages of a Kafka source: taken, set aside, or lost to its retention before they were read.',
    ['topic', 'result'],
  )
  readonly sourceSetAside = this.#counter(
    'winnow_source_set_aside_total',
    'Messages of a Kafka source that were set aside, by reason.',
    ['topic', 'reason'],
  )
  readonly sourceLag = this.#gauge(
    'winnow_source_lag_messages',
    'Messages of a Kafka source that the group has not committed; every receiver says that of all.',
    ['topic'],
  )
  readonly openTraces = this.#gauge('winnow_open_traces', 'Traces an assembler holds open.', [])
  readonly tracesClosed = this.#counter('winnow_traces_closed_total', 'Summaries written.', [
    'reason',
  ])
  readonly duplicateSpans = this.#counter(
    'winnow_duplicate_spans_total',
    'Spans whose id had come in an earlier slice of their trace.',
    [],
  )
  readonly clockJumps = this.#counter(
    'winnow_clock_jumps_total',
    'Jumps of the log time of more than a minute, applied as a minute.',
    [],
  )
  readonly checkpoints = this.#counter(
    'winnow_checkpoints_total',
    'Checkpoints of open traces: written, used at a start, or left aside for the reason named.',
    ['result'],
  )
  readonly decisions = this.#counter('winnow_decisions_total', 'Decisions, by primary rule.', [
    'verdict',
    'rule',
    'tenant',
  ])
  readonly tracesDecided = this.#counter(
    'winnow_traces_decided_total',
    'Traces by the first decision on their spans.',
    ['service'],
  )
  readonly tracesRedecided = this.#counter(
    'winnow_redecided_traces_total',
    'Traces decided again, by what came first after the decision on their spans; of winnow_traces_decided_total it is a share.',
    ['cause'],
  )
  readonly tracesKept = this.#counter(
    'winnow_traces_kept_total',
    'Traces that became kept, at once or by a rescue, by primary rule: a rule that keeps all it matches, or chance.',
    ['service', 'rule', 'by'],
  )
  readonly ruleMatches = this.#counter(
    'winnow_rule_matches_total',
    'Traces that a rule matched, whichever rule was first; the catch-all is left out.',
    ['rule'],
  )
  readonly variantDecided = this.#counter(
    'winnow_variant_traces_decided_total',
    'Traces of a variant by their first decision; active: its experiment was registered and under its cap.',
    ['variant', 'active'],
  )
  readonly variantKept = this.#counter(
    'winnow_variant_traces_kept_total',
    'Traces of a variant that became kept.',
    ['variant', 'active'],
  )
  readonly variantCapUsed = this.#gauge(
    'winnow_variant_cap_used_ratio',
    'Traces kept for a registered variant today by all samplers, of its daily cap; every sampler says it.',
    ['experiment', 'variant'],
  )
  readonly variantForecast = this.#gauge(
    'winnow_variant_forecast_share',
    'Part of all traces that will be kept for a registered variant, if the split and rate of the last hour last.',
    ['experiment', 'variant'],
  )
  readonly variantShareMax = this.#gauge(
    'winnow_variant_share_max',
    'shareMax of that variant, where it has one.',
    ['experiment', 'variant'],
  )
  readonly policyInForce = this.#gauge(
    'winnow_policy_in_force',
    'Always 1: the version that decides (role live), and the one evaluated beside it (role shadow).',
    ['version', 'role'],
  )
  readonly policyReloads = this.#counter(
    'winnow_policy_reloads_total',
    'Files of `policy` and `policyShadow` read again because they changed: read, or refused and the last good one kept.',
    ['key', 'result'],
  )
  readonly policiesRefused = this.#counter(
    'winnow_policies_refused_total',
    'Policies met on the control topic that cannot be used: the last good one stays in force.',
    [],
  )
  readonly shadowDecisions = this.#counter(
    'winnow_shadow_decisions_total',
    'Decisions by their verdict (live) and that of the shadow policy, with the shadow’s primary rule.',
    ['live', 'shadow', 'rule'],
  )
  readonly ceilingUse = this.#gauge(
    'winnow_ceiling_use_ratio',
    'What a rule with a ceiling would keep without it, of the ceiling, told from this window and the last; above 1 it is thinned.',
    ['tenant', 'rule'],
  )
  readonly ceilingThinned = this.#counter(
    'winnow_ceiling_thinned_total',
    'Matches of a rule that it did not keep because of its ceiling; those kept stand for them.',
    ['tenant', 'rule'],
  )
  readonly keptRatio = this.#gauge('winnow_kept_ratio', 'Kept traces of decided ones, last hour.', [
    'tenant',
  ])
  readonly fullResolutionPerError = this.#gauge(
    'winnow_full_resolution_traces_per_error',
    'Kept traces with a failure, of all traces with one, last hour.',
    ['tenant'],
  )
  readonly decisionDelay = this.#histogram(
    'winnow_decision_delay_seconds',
    'From the append of a trace’s last span to its decision.',
    [
      0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 5.25, 5.5, 5.75, 6,
      6.5, 7, 8, 10, 15, 30, 60, 120, 300, 3600,
    ],
  )
  readonly rescued = this.#counter('winnow_rescued_total', 'Drops turned into keeps.', ['cause'])
  readonly evaluations = this.#counter(
    'winnow_evaluations_total',
    'Evaluations by what they did.',
    ['name', 'result'],
  )
  readonly retractionsRefused = this.#counter(
    'winnow_retractions_refused_total',
    'Retractions that were not taken: too many of one trace, or of traces without a span.',
    [],
  )
  readonly evidenceMalformed = this.#counter(
    'winnow_evidence_malformed_total',
    'Records of evidence that no sampler can read; each is left out alone.',
    [],
  )
  readonly ruleErrors = this.#counter(
    'winnow_rule_errors_total',
    'Rules that threw; the trace is kept.',
    ['rule'],
  )
  readonly tierBytes = this.#counter('winnow_tier_bytes_total', 'Bytes written to a tier.', [
    'tier',
  ])
  readonly keptBytes = this.#counter(
    'winnow_kept_bytes_total',
    'Bytes of kept spans as clients sent them, by the primary rule of their trace, as hot has them.',
    ['rule'],
  )
  readonly tierObjects = this.#counter('winnow_tier_objects_total', 'Objects written to a tier.', [
    'tier',
  ])
  readonly coldKeysUnlike = this.#counter(
    'winnow_cold_keys_unlike_total',
    'Cold objects of another writer that hold strings of a tenant under a key that this writer does not have: they share no keys/cold.',
    [],
  )
  readonly erasuresFailing = this.#gauge(
    'winnow_erasures_failing',
    'Erasures under way whose last step failed, or met an object that cannot be read; of the writer that carries them out.',
    [],
  )
  readonly erasureOldestAsked = this.#gauge(
    'winnow_erasure_oldest_asked_timestamp_seconds',
    'When the oldest erasure was asked for whose traces are not all removed yet; 0: there is none.',
    [],
  )
  readonly erasureFirstDue = this.#gauge(
    'winnow_erasure_first_due_timestamp_seconds',
    'By when the first erasure that waits for retention should be done; 0: none waits.',
    [],
  )
  readonly tierObjectsExpired = this.#counter(
    'winnow_tier_expired_objects_total',
    'Objects of a tier that were deleted because their life had ended.',
    ['tier'],
  )
  readonly tierBytesExpired = this.#counter('winnow_tier_expired_bytes_total', 'Bytes of these.', [
    'tier',
  ])
  readonly hotStoreItems = this.#counter(
    'winnow_hot_store_bulk_items_total',
    'Documents by what the hot store answered: written, known already, busy, held, rejected.',
    ['result'],
  )
  readonly hotStoreRetries = this.#counter(
    'winnow_hot_store_retries_total',
    'Requests sent again: refused whole, refused in part, or too large.',
    ['reason'],
  )
  readonly hotStoreInFlight = this.#gauge(
    'winnow_hot_store_in_flight_bytes',
    'Of bulk requests that have not been answered.',
    [],
  )
  readonly hotStoreRejected = this.#counter(
    'winnow_hot_store_rejected_total',
    'Documents that no index takes, set aside by the reason and field that the server names.',
    ['reason'],
  )
  readonly blobRequests = this.#counter(
    'winnow_blob_requests_total',
    'Requests sent to the object store, those sent again too, by what they were for and how they ended.',
    ['operation', 'tier', 'result'],
  )
  readonly blobRetries = this.#counter(
    'winnow_blob_retries_total',
    'Requests of these that had failed and were sent again.',
    ['operation'],
  )
  readonly blobBytes = this.#counter(
    'winnow_blob_bytes_total',
    'Bytes of objects sent (put) and received (get).',
    ['operation', 'tier'],
  )
  readonly busLagRecords = this.#gauge(
    'winnow_bus_lag_records',
    'Records a group has not committed.',
    ['group'],
  )
  readonly busLagSeconds = this.#gauge(
    'winnow_bus_lag_seconds',
    'Age of the oldest record a group has not committed.',
    ['group'],
  )
  readonly busRetention = this.#gauge(
    'winnow_bus_retention_seconds',
    'Age at which something that a group has still to read is removed; its lag has to stay far below.',
    ['group'],
  )
  readonly diskFree = this.#gauge(
    'winnow_disk_free_bytes',
    'Free on the file system of a folder, for whoever may not use the reserve.',
    ['folder'],
  )
  readonly diskSize = this.#gauge('winnow_disk_size_bytes', 'Size of that file system.', ['folder'])
  readonly problems = this.#counter(
    'winnow_problems_total',
    'Warnings and errors that a stage had to log, those held back included.',
    ['stage', 'level'],
  )
  readonly admissionPressure = this.#gauge(
    'winnow_admission_pressure',
    'How near the stages of this process are to being too far behind: from 0.5 on who is above its share is refused, at 1 everybody.',
    ['by'],
  )
  readonly lostToRetention = this.#counter(
    'winnow_lost_to_retention_spans_total',
    'Spans that retention removed before they were read; a record that is gone counts as one where its spans are unknown.',
    [],
  )
  readonly ledgerImbalance = this.#gauge(
    'winnow_ledger_imbalance_spans',
    'Spans received more than ten minutes ago that no decision accounts for, or accounts for wrongly; 0 is healthy.',
    [],
  )
  /** These three no process exposes: `winnow audit --metrics` prints them. */
  readonly auditFindings = this.#gauge(
    'winnow_audit_findings',
    'What the last audit found: objects and traces that do not agree with the ledger; 0 is healthy.',
    ['kind'],
  )
  readonly auditDifference = this.#gauge(
    'winnow_audit_difference_bytes',
    'Bytes that a tier has, less those that the ledger accounts for.',
    ['tier'],
  )
  readonly auditFinished = this.#gauge(
    'winnow_audit_finished_timestamp_seconds',
    'Unix time at which the last audit ended, of all stores or of the blob store alone.',
    ['scope'],
  )
  readonly tlsCertificateExpires = this.#gauge(
    'winnow_tls_certificate_expires_timestamp_seconds',
    'Unix time at which the certificate in force runs out.',
    ['file'],
  )
  readonly reloads = this.#counter(
    'winnow_reloads_total',
    'Files read again because they changed, `what` is keys or certificate: applied, or refused and the last good ones kept.',
    ['what', 'result'],
  )

  readonly traceBufferUp = this.#gauge(
    'winnow_trace_buffer_up',
    'Whether the trace buffer of a stage does what it is asked; 0 costs time and nothing else. Absent: there is none.',
    ['stage'],
  )
  readonly traceBufferReads = this.#counter(
    'winnow_trace_buffer_reads_total',
    'Slices asked of the trace buffer; a miss is read from the bus.',
    ['result'],
  )
  readonly traceBufferReadBytes = this.#counter(
    'winnow_trace_buffer_read_bytes_total',
    'Bytes of slices that the trace buffer had.',
    [],
  )
  readonly traceBufferReadSeconds = this.#histogram(
    'winnow_trace_buffer_read_seconds',
    'One question to the trace buffer, of many slices or a checkpoint, where it is answered.',
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  )
  readonly traceBufferPutBytes = this.#counter(
    'winnow_trace_buffer_put_bytes_total',
    'Bytes that the trace buffer has taken, of records and of checkpoints.',
    ['kind'],
  )
  readonly traceBufferLeftOut = this.#counter(
    'winnow_trace_buffer_left_out_total',
    'Records and checkpoints that are not in the trace buffer, by why; they are read from the bus.',
    ['reason'],
  )

  constructor(options: { readonly processMetrics: boolean } = { processMetrics: false }) {
    if (options.processMetrics) collectDefaultMetrics({ register: this.registry })
  }

  /** Prometheus text. */
  text(): Promise<string> {
    return this.registry.metrics()
  }

  /** The value itself, or `other` once `label` has {@link labelValuesMax} of them. */
  capped(label: 'tenant' | 'service' | 'variant' | 'name' | 'experiment', value: string): string {
    const seen = this.#values.get(label) ?? new Set<string>()
    this.#values.set(label, seen)
    if (seen.has(value)) return value
    if (seen.size >= labelValuesMax) return 'other'
    seen.add(value)
    return value
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name, help, labelNames, registers: [this.registry] })
  }

  #gauge<T extends string>(name: string, help: string, labelNames: T[]): Gauge<T> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] })
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram<never> {
    return new Histogram({ name, help, buckets, registers: [this.registry] })
  }
}
