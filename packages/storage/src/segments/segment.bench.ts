import { ColdHasher } from '@winnow/privacy'
import { cpuRate } from '../cpu-rate.ts'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { sampleDecision, sampleSpanRow, sampleTimeMs, sampleTraceId } from '../samples.ts'
import { ledgerRow } from './ledger-rows.ts'
import { writeSegment } from './segment.ts'
import { packsOf, SegmentSpans } from './segment-spans.ts'

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

const packs = packsOf(spans)
const hasher = new ColdHasher(new Uint8Array(32))
const hashers = new Map([['default', hasher]])

function write(tier: 'ledger' | 'warm' | 'cold', rows: number): () => Promise<number> {
  const metadata = {
    v: 1,
    tier,
    partition: 3,
    logId: 'bench',
    a: 0,
    b: rows,
    after: { claim: 0, next: 1 },
    rows: { ledger: 0, warm: 0, cold: 0, [tier]: rows },
    digest: '',
  } as const
  return async () => {
    const store = new MemoryBlobStore({ nowMs: () => 0 })
    if (tier === 'ledger') {
      await writeSegment(store, sampleTimeMs, metadata, { tier, rows: ledger })
      return rows
    }
    const segment = new SegmentSpans(packs)
    // As a writer does: cold first, and what warm has in common with it is there already.
    if (tier === 'cold') {
      const groups = () => segment.cold(hashers)
      await writeSegment(store, sampleTimeMs, metadata, { tier, count: segment.count, groups })
    }
    const groups = () => segment.warm()
    const rowsOfBoth = { ...metadata.rows, warm: rows }
    const warm = { ...metadata, tier: 'warm', rows: rowsOfBoth } as const
    await writeSegment(store, sampleTimeMs, warm, { tier: 'warm', count: segment.count, groups })
    return rows
  }
}

export const benches = [
  {
    name: 'warm segment, Parquet',
    unit: 'spans/CPU-s',
    run: () => cpuRate(write('warm', spans.length)),
  },
  {
    name: 'cold and warm segment, Parquet',
    unit: 'spans/CPU-s',
    run: () => cpuRate(write('cold', spans.length)),
  },
  {
    name: 'ledger segment, Parquet',
    unit: 'decisions/CPU-s',
    run: () => cpuRate(write('ledger', ledger.length)),
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
