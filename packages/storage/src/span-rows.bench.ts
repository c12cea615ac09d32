import { decodeTraces, encodeTraces } from '@winnow/otlp'
import { ColdHasher } from '@winnow/privacy'
import { coldRows } from './cold-rows.ts'
import { cpuRate } from './cpu-rate.ts'
import { pairs, sampleDecision, sampleSpan, sampleTraces, text } from './samples.ts'
import { type DecodedSlice, spanRows } from './span-rows.ts'

const decision = sampleDecision(1)

/** Four slices of two spans, 1.7 KB a span. */
const encoded = [0, 1, 2, 3].map(slice => {
  const spans = [0, 1].map(n =>
    sampleSpan(decision.traceId, slice * 2 + n, {
      attributes: [
        ...sampleSpan(decision.traceId, n).attributes,
        ...pairs({
          'gen_ai.completion.0.content': text('You are eligible for a refund. '.repeat(35)),
          'session.id': text(`sess_${slice}`),
          'retrieval.doc_ids': { arrayValue: { values: [text('pol_1'), text('pol_2')] } },
        }),
      ],
    }),
  )
  const ref = { partition: 3, offset: slice, start: 0, length: 3_400, spanCount: 2 }
  return { ref, bytes: encodeTraces(sampleTraces(spans)) }
})

function decoded(): DecodedSlice[] {
  return encoded.map(({ ref, bytes }) => ({ ref, data: decodeTraces(bytes) }))
}

const slices = decoded()
const rows = spanRows(decision, 3, 9, slices)
const hasher = new ColdHasher(new Uint8Array(32))

/** Many traces a measurement, since reading the CPU clock takes as long as a trace. */
const traces = 500
const repeat = (work: () => number) => () => {
  let units = 0
  for (let n = 0; n < traces; n++) units += work()
  return units
}

export const benches = [
  {
    name: 'decode kept slices',
    unit: 'spans/CPU-s',
    run: () => cpuRate(repeat(() => decoded().length * 2)),
  },
  {
    name: 'span rows of decoded slices',
    unit: 'spans/CPU-s',
    run: () => cpuRate(repeat(() => spanRows(decision, 3, 9, slices).length)),
  },
  {
    name: 'cold rows, keyed hashes',
    unit: 'spans/CPU-s',
    run: () => cpuRate(repeat(() => coldRows(rows, hasher).length)),
  },
]
