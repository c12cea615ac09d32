import { expect, test } from 'vitest'
import { sampleSpanRow, sampleTraceId } from './samples.ts'
import { emptyPack, SpanPack } from './span-pack.ts'

const id = sampleTraceId(1)

test('a pack gives back its rows as they were', () => {
  const rows = [
    sampleSpanRow(id, 0),
    sampleSpanRow(id, 1, {
      start_time_unix_nano: 2n ** 63n - 1n,
      end_time_unix_nano: 0n,
      flags: 2 ** 32 - 1,
      kind: -2,
      status_code: 2 ** 31 - 1,
      input_tokens: Number.MAX_SAFE_INTEGER,
      output_tokens: 0,
      cost_usd: -0.5,
      parent_span_id: null,
      service_name: null,
      trace_state: 'ot=th:8',
      name: 'ein Wort "mit" Ümläut 😀\n',
      attributes: `{"a":{"stringValue":"${'€'.repeat(70_000)}"}}`,
      events: '[{"timeUnixNano":"1"}]',
    }),
    ...Array.from({ length: 300 }, (_, n) => sampleSpanRow(id, n + 2, { name: `step ${n}` })),
  ]
  const pack = SpanPack.of(rows)
  expect(pack.count).toBe(rows.length)
  expect(pack.rows()).toEqual(rows)
  const again = SpanPack.from(pack.bytes)
  expect(again.count).toBe(rows.length)
  expect(again.rows()).toEqual(rows)
})

test('no rows are no bytes', () => {
  expect(SpanPack.of([])).toBe(emptyPack)
  expect(SpanPack.from(new Uint8Array()).rows()).toEqual([])
})

test('a newer release’s bytes are refused by name, others as damage', () => {
  expect(() => SpanPack.from(new Uint8Array([2, 0]))).toThrow(/CONFIG_INVALID.*format 2.*up to 1/)
  expect(() => SpanPack.from(new Uint8Array([0, 0]))).toThrow(/DATA_CORRUPT/)
})
