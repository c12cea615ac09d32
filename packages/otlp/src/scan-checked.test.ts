import { expect, test } from 'vitest'
import { encodeTraces } from './encode.ts'
import { compileInterest } from './interest.ts'
import { emptySpan, type KeyValue, type TracesData } from './otlp.ts'
import { agentRequest } from './scan.bench.ts'
import { scanTraces } from './scan.ts'
import { SpanTable } from './span-table.ts'

const keys = ['service.name', 'gen_ai.usage.*', 'judge.score', 'wanted'].map(key => ({
  key,
  at: ['resource', 'span', 'event'] as const,
}))

test('bytes that were checked before give the same rows and hits', () => {
  const bytes = agentRequest(5)
  expect(scanned(bytes, true)).toEqual(scanned(bytes, false))
})

test('of bytes that were checked before only the values that are wanted are checked', () => {
  const good = encodeTraces(oneSpan([attribute('unwanted'), attribute('wanted')]))
  for (const key of ['unwanted', 'wanted']) {
    const bad = Buffer.from(good)
    // The value's text is said to be longer than its value.
    bad[bad.indexOf(`\x12\x06\n\x04${key.slice(0, 4)}`) + 3] = 9
    expect(() => scanned(bad, false)).toThrow('not valid protobuf')
    if (key === 'wanted') expect(() => scanned(bad, true)).toThrow('not valid protobuf')
    else expect(scanned(bad, true)).toEqual(scanned(good, true))
  }
})

function scanned(bytes: Uint8Array, isChecked: boolean): unknown {
  const table = new SpanTable()
  scanTraces(bytes, 0, bytes.length, table, compileInterest(keys, isChecked))
  const { hits, length } = table
  return {
    rows: Array.from({ length }, (_, row) => [
      ...[table.trace0[row], table.span1[row], table.parent1[row], table.startHi[row]],
      ...[table.attributeCount[row], table.eventCount[row], table.hitFrom[row], table.hitTo[row]],
    ]),
    hits: Array.from({ length: hits.length }, (_, hit) => [
      ...[hits.key[hit], hits.level[hit], hits.owner[hit], hits.type[hit], hits.event[hit]],
    ]),
  }
}

function attribute(key: string): KeyValue {
  return { key, value: { stringValue: key.slice(0, 4) } }
}

function oneSpan(attributes: KeyValue[]): TracesData {
  const scope = { name: 's', version: '', attributes: [], droppedAttributesCount: 0 }
  const span = {
    ...emptySpan,
    traceId: 'a'.repeat(32),
    spanId: '0102030405060708',
    name: 'n',
    kind: 1,
    startTimeUnixNano: 1n,
    endTimeUnixNano: 2n,
    attributes,
  }
  return {
    resourceSpans: [
      {
        resource: { attributes: [], droppedAttributesCount: 0 },
        scopeSpans: [{ scope, spans: [span], schemaUrl: '' }],
        schemaUrl: '',
      },
    ],
  }
}
