import { ManualClock } from '@winnow/runtime'
import { MemoryBlobStore, type SpanRow, segmentKey, writeSegment } from '@winnow/storage'
import { todayMs, traceIdOf } from './lookup.fixture.ts'

export function rowOf(n: number, span: number, changes: Partial<SpanRow> = {}): SpanRow {
  return {
    tenant: 'default',
    trace_id: traceIdOf(n),
    span_id: span.toString(16).padStart(16, '0'),
    parent_span_id: null,
    service_name: 'refund-bot',
    name: 'llm.generate',
    kind: 3,
    start_time_unix_nano: 1_795_244_400_000_000_000n + BigInt(span),
    end_time_unix_nano: 1_795_244_402_608_000_000n,
    status_code: 1,
    flags: 0,
    trace_state: null,
    scope_name: null,
    scope_version: null,
    gen_ai_operation: null,
    gen_ai_provider: null,
    gen_ai_model: null,
    gen_ai_tool: null,
    input_tokens: null,
    output_tokens: null,
    cost_usd: null,
    experiment_id: null,
    experiment_variant: null,
    attributes: '{"session.id":{"stringValue":"sess_91ab"}}',
    resource_attributes: '{}',
    events: '[]',
    links: '[]',
    sampling_rule: 'citation-failed',
    sampling_revision: 1,
    sampling_probability: 1,
    sampling_adjusted_count: 1,
    sampling_offset: 0n,
    sampling_partition: 0,
    ...changes,
  }
}

/** A blob store with segments of one partition, whose reads are counted. */
export class StoredFixture {
  readonly clock = new ManualClock()
  readonly reads: string[] = []
  readonly blobs: MemoryBlobStore

  constructor() {
    this.clock.advanceMs(todayMs)
    this.blobs = new MemoryBlobStore(this.clock)
    const { read, head, list } = this.blobs
    this.blobs.read = (key, ...rest) => {
      this.reads.push(key)
      return read.call(this.blobs, key, ...rest)
    }
    this.blobs.head = key => {
      this.reads.push(key)
      return head.call(this.blobs, key)
    }
    this.blobs.list = prefix => {
      this.reads.push(`list ${prefix}`)
      return list.call(this.blobs, prefix)
    }
  }

  /** One range in all three tiers; cold has tokens for what warm has. Resolves with the ledger's key. */
  async segment(a: number, rows: readonly SpanRow[], atMs = todayMs, logId = 'log-1') {
    const own = rows.map(row => ({ ...row, sampling_offset: BigInt(a) }))
    const count = { ledger: 0, warm: rows.length, cold: rows.length }
    const metadata = {
      v: 1,
      partition: 0,
      logId,
      a,
      b: a,
      after: { claim: 0, next: 1 },
      rows: count,
      digest: 'd',
    }
    const hashed = own.map(row => ({
      ...row,
      attributes: '{"session.id":{"stringValue":"h_0123456789abcdef"}}',
    }))
    for (const [tier, held] of [
      ['ledger', []],
      ['cold', hashed],
      ['warm', own],
    ] as const) {
      await writeSegment(this.blobs, atMs, { ...metadata, tier }, { tier, rows: held } as never)
    }
    return segmentKey('ledger', atMs, 0, logId, a)
  }
}
