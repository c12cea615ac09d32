/**
 * One counting decision, kept or dropped, as the ledger holds it for a year: facts only. Free text
 * that people gave with an evaluation or a rescue is not in it. A trace's last row is the one of
 * the greatest `sampling_offset`.
 */
export interface LedgerRow {
  readonly tenant: string
  readonly trace_id: string
  readonly revision: number
  readonly verdict: 'keep' | 'drop'
  readonly primary_rule: string
  /** JSON array of the names of all rules that matched, the primary first. */
  readonly rules: string
  readonly probability: number
  readonly th: string
  readonly adjusted_count: number
  readonly stratum: string
  readonly policy_version: string
  readonly cause: string
  readonly close_reason: string | null
  readonly complete: boolean | null
  readonly missing_parents: number
  readonly span_count: number
  readonly duplicate_spans: number
  /** Slices of the series so far; 0 while evaluations await their trace. */
  readonly slice_count: number
  /** Slices that this revision had the writer write. */
  readonly slices_written: number
  /** A keep whose slices had all left the bus: it is in no kept ratio. */
  readonly gone: boolean
  readonly root_span_id: string | null
  readonly service_name: string | null
  readonly root_name: string | null
  readonly experiment_id: string | null
  readonly experiment_variant: string | null
  readonly duration_ms: number | null
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost_usd: number
  /** False where any judge failed it, null where none stated it. */
  readonly judge_passed: boolean | null
  /** The lowest score of any judge. */
  readonly judge_score: number | null
  /** Of the citation check with the most unsupported claims. */
  readonly citation_extracted: number | null
  readonly citation_supported: number | null
  readonly citation_unsupported: number | null
  /** The lowest, on its sender's scale. */
  readonly csat: number | null
  /** Unix milliseconds, log time; so are the others. */
  readonly first_span_at: number | null
  readonly closed_at: number | null
  readonly decided_at: number
  readonly series_at: number
  /** Where the decision lies; spans of warm and cold name their decision by the same two. */
  readonly sampling_partition: number
  readonly sampling_offset: number
  /** JSON array: id, name, spanId, score, label, passed, source, atMs, effect. */
  readonly evaluations: string
  /**
   * The decision itself as JSON, without free text: enough to answer why and to derive it again. Of
   * a chain (`prev` is an offset) the slices of this record; the row at that offset has the others.
   */
  readonly decision: string
  /** Bytes of the slices that this revision had the writer write, as clients sent them. */
  readonly bytes_written: number
}

/** A row as it is written: its decision may be the bytes of the record. */
export type LedgerEntry = Omit<LedgerRow, 'decision'> & { readonly decision: string | Uint8Array }
