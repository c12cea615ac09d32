import { decodeTraces, encodeTraces, tracesFromJson, tracesToJson } from '@winnow/otlp'
import { expect, test } from 'vitest'
import { sameSpans, sentSpans } from './sent-span.ts'
import { trace48f } from './trace-48f.ts'
import { agentTraffic } from './traffic.ts'

const spans = sentSpans(trace48f())

test('a trace is the same in another order', () => {
  expect(sameSpans(spans, spans.toReversed())).toBeNull()
})

test('of two expected spans with one id the first counts', () => {
  const [first] = spans
  if (first === undefined) throw new TypeError('trace 48f has spans')
  const conflicting = { ...first, span: { ...first.span, name: 'other' } }
  expect(sameSpans([...spans, conflicting], spans)).toBeNull()
  expect(sameSpans([conflicting, ...spans], spans)).toBe(
    'span 0100000000000000 (other): span.name was sent as "other" and came as "refund_chat.turn"',
  )
})

test('what is missing, foreign or twice is named', () => {
  expect(sameSpans(spans, spans.slice(1))).toBe(
    '1 of 8 spans are missing, the first 0100000000000000 (refund_chat.turn)',
  )
  expect(sameSpans(spans.slice(1), spans)).toContain('was never sent')
  expect(sameSpans(spans, [...spans, ...spans.slice(0, 1)])).toContain('came twice')
})

test('a difference of one field is found wherever it lies', () => {
  const changed = (change: (sent: (typeof spans)[number]) => (typeof spans)[number]) =>
    sameSpans(spans, spans.map(change))
  expect(changed(sent => ({ ...sent, scopeSchemaUrl: 'x' }))).toContain('scopeSchemaUrl')
  expect(
    changed(sent => ({
      ...sent,
      span: { ...sent.span, endTimeUnixNano: sent.span.endTimeUnixNano + 1n },
    })),
  ).toContain('span.endTimeUnixNano was sent as 1716370865728000000n')
  expect(changed(sent => ({ ...sent, span: { ...sent.span, attributes: [] } }))).toContain(
    'span.attributes[0] was sent as {"key":"session.id"',
  )
  expect(
    changed(sent => ({ ...sent, resource: { ...sent.resource, droppedAttributesCount: 1 } })),
  ).toContain('resource.droppedAttributesCount was sent as 0 and came as 1')
})

test('values that compare equal but are not the same differ', () => {
  const withValue = (value: object) =>
    spans.map(sent => ({
      ...sent,
      span: { ...sent.span, attributes: [{ key: 'k', value: value as { doubleValue: number } }] },
    }))
  expect(sameSpans(withValue({ doubleValue: 0 }), withValue({ doubleValue: -0 }))).toContain('-0')
  expect(sameSpans(withValue({ intValue: 1n }), withValue({ doubleValue: 1 }))).not.toBeNull()
  expect(
    sameSpans(withValue({ doubleValue: Number.NaN }), withValue({ doubleValue: Number.NaN })),
  ).toBeNull()
  expect(
    sameSpans(
      withValue({ bytesValue: Uint8Array.of(1) }),
      withValue({ bytesValue: Uint8Array.of(2) }),
    ),
  ).not.toBeNull()
})

test('generated traffic survives protobuf and JSON unchanged, as the comparison sees it', () => {
  const seed = 20
  const { requests } = agentTraffic({
    seed,
    traces: 150,
    startMs: 1_760_000_000_000,
    features: { oddValues: 1 },
  })
  for (const { data } of requests) {
    for (const again of [
      decodeTraces(encodeTraces(data)),
      tracesFromJson(tracesToJson(data)).data,
    ]) {
      const sent = sentSpans(data)
      const got = sentSpans(again)
      expect(got.length, `seed ${seed}`).toBe(sent.length)
      for (const [at, one] of sent.entries()) {
        expect(sameSpans([one], got.slice(at, at + 1)), `seed ${seed}`).toBeNull()
      }
    }
  }
})
