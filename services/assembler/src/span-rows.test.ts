import {
  columnBytesMax,
  columnsMax,
  factTextBytesMax,
  rowsBytesMax,
  rowsMax,
  type SliceFacts,
} from '@winnow/model'
import {
  type AnyValue,
  emptySpan,
  encodeTraces,
  type KeyValue,
  type Span,
  SpanTable,
  scanTraces,
  type TracesData,
} from '@winnow/otlp'
import { clearTextWordsMax } from '@winnow/privacy'
import { expect, test } from 'vitest'
import { factInterest, plainInterest } from './fact-interest.ts'
import { summarised } from './packed-slice.fixture.ts'
import { SliceFactsExtractor } from './slice-facts.ts'

const columns = ['tier', 'code', 'cached', 'service.name', 'outcome.resolved', 'judge.score']

test('a row has what a span says, else its resource; equal rows are one', () => {
  const { rows, rootRows, ...facts } = factsOf(
    request([
      span(1, { tier: 'gold', code: 200 }),
      span(2, { tier: 'gold', code: 200 }),
      span(3, { cached: true, 'service.name': 'inner' }),
      span(4, { unasked: 1 }, { parentSpanId: id(1) }),
    ]),
  )
  expect(facts.columns).toEqual(columns)
  expect(rows).toEqual([
    ['gold', 200, null, 'bot'],
    [null, null, true, 'inner'],
    [null, null, null, 'bot'],
  ])
  expect(rootRows).toEqual([
    [id(1), 0],
    [id(2), 0],
    [id(3), 1],
  ])
  expect(facts.truncated).toBeUndefined()
})

test('an attribute that a rule names keeps the meaning that it has for the facts', () => {
  const attributes = { 'outcome.resolved': false, 'judge.score': 0.25 }
  const data = request([span(1, attributes)])
  const { columns: _, rows, rootRows: __, ...facts } = factsOf(data)
  expect(rows).toEqual([[null, null, null, 'bot', false, 0.25]])
  expect(facts).toEqual(factsOf(data, []))
  expect(facts.outcomes).toHaveLength(2)
})

test('what is no fact is there and shows nothing: long text, lists, bytes, no finite number', () => {
  const longest = 'x'.repeat(factTextBytesMax)
  const cellOf = (value: AnyValue) => factsOf(request([span(1, { tier: value })])).rows?.[0]?.[0]
  expect(cellOf({ stringValue: longest })).toBe(longest)
  expect(cellOf({ stringValue: '' })).toBe('')
  for (const value of [
    { stringValue: `${longest}x` },
    { doubleValue: Number.NaN },
    { arrayValue: { values: [{ stringValue: 'a' }] } },
    { bytesValue: new Uint8Array([1]) },
  ]) {
    expect(cellOf(value)).toEqual({})
  }
  const named = (name: string) => factsOf(request([span(1, {}, { name })]), [':name']).rows
  expect(named(longest)).toEqual([[longest]])
  expect(named(`${longest}x`)).toEqual([[{}]])
})

test('what reads like prose is there and shows nothing, at the limit of words and past it', () => {
  const rowOf = (text: string) => {
    const one = span(1, { tier: { stringValue: text } }, { name: text, traceState: `v=${text}` })
    return factsOf(request([one]), ['tier', ':name', ':state:v']).rows?.[0]
  }
  for (const space of [' ', '\t', '\u00a0', '\u3000']) {
    const words = (count: number) => Array(count).fill('w').join(space)
    const clear = words(clearTextWordsMax)
    expect(rowOf(clear)).toEqual([clear, clear, clear])
    expect(rowOf(words(clearTextWordsMax + 1))).toEqual([{}, {}, {}])
  }
  const accents = `${'\u00e9\u00a9'.repeat(14)}`
  expect(rowOf(accents)).toEqual([accents, accents, accents])
})

test('a column may be a field of the span', () => {
  const own = [':name', ':kind', ':status', ':durationMs', ':sampled', ':state:vendor']
  const traceState = 'a=1, vendor=x'
  const one = { name: 'llm', kind: 3, status: { code: 2, message: '' }, flags: 1, traceState }
  const times = { startTimeUnixNano: 1_000_000n, endTimeUnixNano: 3_500_000n }
  const { rows } = factsOf(request([span(1, {}, { ...one, ...times }), span(2, {})]), own)
  expect(rows).toEqual([
    ['llm', 'client', 'ERROR', 2.5, true, 'x'],
    ['', 'unspecified', 'UNSET', 0, false],
  ])
})

test('a model fills its column under any of its names, and that of the name as well', () => {
  const wanted = [':requestModel', ':responseModel', 'llm.model_name']
  const { rows } = factsOf(
    request([
      span(1, { 'gen_ai.request.model': 'a', 'gen_ai.response.model': 'a-1' }),
      span(2, { 'llm.model_name': 'b' }),
    ]),
    wanted,
  )
  expect(rows).toEqual([
    ['a', 'a-1'],
    ['b', null, 'b'],
  ])
})

test('rows past rowsMax are left out and said to be, and roots find room', () => {
  const plain = (count: number) =>
    Array.from({ length: count }, (_, n) => span(n + 2, { code: n }, { parentSpanId: id(1) }))
  const own = (rowsMax * 3) / 4
  const at = factsOf(request(plain(own)))
  expect([at.rows?.length, at.truncated]).toEqual([own, undefined])
  const past = factsOf(request([...plain(own + 1), span(1, { tier: 'root' })]))
  expect([past.rows?.length, past.truncated]).toEqual([own + 1, true])
  expect(past.rootRows).toEqual([[id(1), own]])
})

test('rows past rowsBytesMax are left out and said to be', () => {
  // Of 64 characters that are six bytes each in JSON.
  const wide = (n: number) => `${n}`.padStart(factTextBytesMax, '\u0001')
  const spans = Array.from({ length: 40 }, (_, n) => span(n + 1, { tier: wide(n) }))
  const { rows, truncated } = factsOf(request(spans))
  const bytes = Buffer.byteLength(JSON.stringify(rows))
  expect(truncated).toBe(true)
  expect(bytes).toBeLessThanOrEqual(rowsBytesMax + 1)
  expect(bytes).toBeGreaterThan(rowsBytesMax - 500)
})

test('a list of columns has its limits, and no column is a pattern', () => {
  const many = (count: number) => Array.from({ length: count }, (_, n) => `key.${n}`)
  expect(factInterest(many(columnsMax)).columns).toHaveLength(columnsMax)
  expect(() => factInterest(many(columnsMax + 1))).toThrow(/more than 32/)
  const longest = 'k'.repeat(columnBytesMax)
  expect(factInterest([longest, longest]).columns).toEqual([longest])
  for (const bad of [`${longest}k`, '', 'outcome.*', ':nothing']) {
    expect(() => factInterest([bad])).toThrow(RangeError)
  }
  expect(plainInterest.columns).toEqual([])
})

function factsOf(data: TracesData, wanted: readonly string[] = columns): SliceFacts {
  const bytes = encodeTraces(data)
  const table = new SpanTable()
  const interest = factInterest(wanted)
  const spanCount = scanTraces(bytes, 0, bytes.length, table, interest.interest)
  const extractor = new SliceFactsExtractor(interest)
  const slice = summarised({ facts: extractor.pack(table, 0, spanCount), spanCount })
  expect(extractor.jsonLength).toBeGreaterThanOrEqual(slice.text.length)
  expect(slice.isWhole).toBe(true)
  const { startNs: _, endNs: __, spans: ___, ...facts } = slice.facts
  return facts as SliceFacts
}

function request(spans: readonly Span[]): TracesData {
  const scope = { name: '', version: '', attributes: [], droppedAttributesCount: 0 }
  const resource = {
    attributes: [{ key: 'service.name', value: { stringValue: 'bot' } }],
    droppedAttributesCount: 0,
  }
  const scopeSpans = [{ scope, spans, schemaUrl: '' }]
  return { resourceSpans: [{ resource, scopeSpans, schemaUrl: '' }] }
}

function id(number: number): string {
  return number.toString(16).padStart(16, '0')
}

function span(
  number: number,
  attributes: Readonly<Record<string, unknown>>,
  more: Partial<Span> = {},
): Span {
  return {
    ...emptySpan,
    traceId: '0a'.repeat(16),
    spanId: id(number),
    attributes: Object.entries(attributes).map(([key, value]) => pair(key, value)),
    ...more,
  }
}

function pair(key: string, value: unknown): KeyValue {
  if (typeof value === 'string') return { key, value: { stringValue: value } }
  if (typeof value === 'boolean') return { key, value: { boolValue: value } }
  if (typeof value === 'number') {
    const isInt = Number.isInteger(value)
    return { key, value: isInt ? { intValue: BigInt(value) } : { doubleValue: value } }
  }
  return { key, value: value as AnyValue }
}
