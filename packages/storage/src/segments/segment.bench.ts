import { cpuRate } from '../cpu-rate.ts'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { sampleDecision, sampleSpanRow, sampleTimeMs, sampleTraceId } from '../samples.ts'
import { ledgerRow } from './ledger-rows.ts'
import { type SegmentRows, writeSegment } from './segment.ts'

const spans = Array.from({ length: 16_000 }, (_, n) =>
  sampleSpanRow(sampleTraceId(n >> 3), n & 7, {
    sampling_offset: BigInt(n >> 3),
    start_time_unix_nano: BigInt(n) * 1_000_003n,
    attributes: `{"session.id":{"stringValue":"sess_${n >> 3}"},"gen_ai.request.model":{"stringValue":"gpt-4o"},"gen_ai.response.id":{"stringValue":"msg_${n * 7919}"},"gen_ai.usage.input_tokens":{"intValue":"${n}"}}`,
  }),
)
const ledger = Array.from({ length: 5_000 }, (_, n) =>
  ledgerRow(sampleDecision(n, { verdict: n % 5 === 0 ? 'keep' : 'drop' }), 3, n),
)

function write(content: SegmentRows): () => Promise<number> {
  const { tier, rows } = content
  return async () => {
    await writeSegment(
      new MemoryBlobStore({ nowMs: () => 0 }),
      sampleTimeMs,
      {
        v: 1,
        tier,
        partition: 3,
        logId: 'bench',
        a: 0,
        b: rows.length,
        after: { claim: 0, next: 1 },
        rows: { ledger: 0, warm: 0, cold: 0, [tier]: rows.length },
        digest: '',
      },
      content,
    )
    return rows.length
  }
}

export const benches = [
  {
    name: 'warm segment, Parquet',
    unit: 'spans/CPU-s',
    run: () => cpuRate(write({ tier: 'warm', rows: spans })),
  },
  {
    name: 'ledger segment, Parquet',
    unit: 'decisions/CPU-s',
    run: () => cpuRate(write({ tier: 'ledger', rows: ledger })),
  },
  {
    name: 'ledger rows of decisions',
    unit: 'decisions/CPU-s',
    run: () =>
      cpuRate(() => {
        for (let n = 0; n < 2_000; n++) ledgerRow(decisions[n % 100] ?? first, 3, n)
        return 2_000
      }),
  },
]

const decisions = Array.from({ length: 100 }, (_, n) => sampleDecision(n))
const first = sampleDecision(0)
