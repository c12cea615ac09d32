import { emptySpan, encodeTraces, type Span } from '@winnow/otlp'
import type { HotTraceRead } from '@winnow/storage'
import { expect, test } from 'vitest'
import { decisionOn, traceIdOf } from './lookup.fixture.ts'
import { rowOf } from './span-lookup.fixture.ts'
import { otlpOf, rowsOf, spansOf } from './trace-read.ts'

const text = 'what the customer wrote'
const idOf = (span: number): string => span.toString(16).padStart(16, '0')

/** A trace of three spans, of which these still have their text. */
function readWith(...withText: readonly number[]): HotTraceRead {
  const { slices: _, ...decision } = decisionOn(1, { verdict: 'keep', spanCount: 3 })
  const rows = [1, 2, 3].map(span => rowOf(1, span))
  const bodies = withText.map(span => ({ ref: `0:${span}:0`, bytes: bodyOf(span) }))
  return { decision, logId: 'log-1', partition: 0, offset: 1, spans: rows, bodies }
}

function bodyOf(n: number): Uint8Array {
  const span: Span = {
    ...emptySpan,
    traceId: traceIdOf(1),
    spanId: idOf(n),
    startTimeUnixNano: rowOf(1, n).start_time_unix_nano,
    attributes: [{ key: 'user.message', value: { stringValue: text } }],
  }
  const group = {
    scope: { name: '', version: '', attributes: [], droppedAttributesCount: 0 },
    spans: [span],
    schemaUrl: '',
  }
  const resource = { attributes: [], droppedAttributesCount: 0 }
  return encodeTraces({ resourceSpans: [{ resource, scopeSpans: [group], schemaUrl: '' }] })
}

const shown = (read: HotTraceRead) => {
  const { level, spans } = spansOf(read)
  return { level, spans: spans.map(span => [span.spanId, JSON.stringify(span).includes(text)]) }
}

test('with all of its text a trace is full', () => {
  const all = [1, 2, 3].map(span => [idOf(span), true])
  expect(shown(readWith(1, 2, 3))).toEqual({ level: 'full', spans: all })
  expect(otlpOf(readWith(1, 2, 3))).toContain(text)
})

test('what has lost its text stays there without it, and the whole is no longer called full', () => {
  expect(shown(readWith(2))).toEqual({
    level: 'structured',
    spans: [
      [idOf(1), false],
      [idOf(2), true],
      [idOf(3), false],
    ],
  })
  // A file of a part would be taken for all of it.
  expect(otlpOf(readWith(2))).toBeUndefined()
})

test('without any text every span is there at structured level', () => {
  const none = [1, 2, 3].map(span => [idOf(span), false])
  expect(shown(readWith())).toEqual({ level: 'structured', spans: none })
  expect(otlpOf(readWith())).toBeUndefined()
  expect(rowsOf(readWith(1).spans, 'structured').spans.length).toBe(3)
})
