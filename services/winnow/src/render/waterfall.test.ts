import { expect, test } from 'vitest'
import { type WaterfallSpan, waterfall, waterfallSpansMax } from './waterfall.ts'

function span(spanId: string, parentSpanId: string, startMs: number, endMs: number): WaterfallSpan {
  return {
    spanId,
    parentSpanId,
    name: `span ${spanId}`,
    startTimeUnixNano: `${startMs}000000`,
    endTimeUnixNano: `${endMs}000000`,
    status: { code: spanId === 'err' ? 2 : 1 },
  }
}

test('children hang below their parent and bars share one axis', () => {
  const text = waterfall(
    [span('b', 'a', 50, 100), span('a', '', 0, 100), span('err', 'b', 60, 70)],
    80,
  )
  const lines = text.split('\n')
  expect(lines[0]).toMatch(/^span a {31} {4}100 ms {3}█{20}/)
  expect(lines[1]).toMatch(/^└─ span b .* 50 ms {13}█{10}/)
  expect(lines[2]).toMatch(/^ {3}└─ span err .*✗/)
})

test('a missing parent makes a root, and a ring of parents is still listed', () => {
  const text = waterfall([span('a', 'gone', 0, 1), span('b', 'c', 0, 1), span('c', 'b', 0, 1)], 80)
  expect(text).toMatch(/^span a/m)
  expect(text).toMatch(/^\? span b/m)
  expect(text).toMatch(/^\? span c/m)
})

test('a span that ends before it starts is drawn, and so is a trace of no length', () => {
  expect(waterfall([span('a', '', 100, 50), span('b', '', 0, 200)], 80)).toContain('0 ms')
  expect(waterfall([span('a', '', 5, 5)], 80)).toContain('span a')
})

test('more spans than the limit are counted, not drawn', () => {
  const many = Array.from({ length: waterfallSpansMax + 1 }, (_, i) => span(`s${i}`, '', i, i + 1))
  expect(waterfall(many.slice(0, -1), 80)).not.toContain('more spans')
  expect(waterfall(many, 80)).toContain('… and 1 more spans')
})
