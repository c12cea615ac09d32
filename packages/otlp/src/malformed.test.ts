import { PipelineError } from '@winnow/runtime'
import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import { decodeTraces } from './decode.ts'
import { decodeLogs } from './decode-logs.ts'
import { encodeLogs, encodeTraces } from './encode.ts'
import { logsFromJson, tracesFromJson } from './json.ts'
import { countDataPoints, countDataPointsInJson } from './metrics.ts'
import type { KeyValue, LogsData, TracesData } from './otlp.ts'
import {
  decodeExportResponse,
  decodeStatus,
  encodeExportResponse,
  encodeStatus,
  exportResponseFromJson,
  exportResponseToJson,
  statusFromJson,
  statusToJson,
} from './status.ts'
import { logsToJson, tracesToJson } from './to-json.ts'
import { WireWriter } from './wire-writer.ts'

const attributes: KeyValue[] = [
  { key: 'gen_ai.request.model', value: { stringValue: 'claude-3-5-sonnet-20241022' } },
  { key: 'gen_ai.usage.input_tokens', value: { intValue: 1870n } },
  { key: 'negative', value: { intValue: -1n } },
  { key: 'cost', value: { doubleValue: 0.00831 } },
  { key: 'ok', value: { boolValue: true } },
  { key: 'raw', value: { bytesValue: Uint8Array.of(1, 2, 3) } },
  {
    key: 'nested',
    value: {
      arrayValue: {
        values: [{ kvlistValue: { values: [{ key: 'a', value: { stringValue: '₹' } }] } }, {}],
      },
    },
  },
]

const resource = { attributes, droppedAttributesCount: 1 }
const scope = { name: 'lib', version: '1', attributes, droppedAttributesCount: 0 }
const ids = { traceId: '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f', spanId: '0100000000000001' }

const traces: TracesData = {
  resourceSpans: [1, 2].map(() => ({
    resource,
    scopeSpans: [
      {
        scope,
        spans: [
          {
            ...ids,
            traceState: 'ot=th:8',
            parentSpanId: '0100000000000002',
            flags: 0x101,
            name: 'llm.generate',
            kind: 3,
            startTimeUnixNano: 1716370863449000000n,
            endTimeUnixNano: 1716370865249000000n,
            attributes,
            droppedAttributesCount: 1,
            events: [{ timeUnixNano: 1n, name: 'e', attributes, droppedAttributesCount: 0 }],
            droppedEventsCount: 300,
            links: [{ ...ids, traceState: '', attributes, droppedAttributesCount: 0, flags: 1 }],
            droppedLinksCount: 1,
            status: { message: 'm', code: 2 },
          },
        ],
        schemaUrl: 'https://s',
      },
    ],
    schemaUrl: 'https://r',
  })),
}

const logs: LogsData = {
  resourceLogs: [1, 2].map(() => ({
    resource,
    scopeLogs: [
      {
        scope,
        logRecords: [
          {
            ...ids,
            timeUnixNano: 1n,
            observedTimeUnixNano: 2n,
            severityNumber: 9,
            severityText: 'INFO',
            body: { stringValue: 'text' },
            attributes,
            droppedAttributesCount: 0,
            flags: 1,
            eventName: 'gen_ai.evaluation.result',
          },
        ],
        schemaUrl: '',
      },
    ],
    schemaUrl: '',
  })),
}

const status = encodeStatus({ code: 14, message: 'slow down', retryDelayMs: 1500 })
const response = encodeExportResponse({ rejected: 300, errorMessage: 'span 1: no trace id' })

const binary: readonly (readonly [string, (bytes: Uint8Array) => unknown, Uint8Array])[] = [
  ['traces', decodeTraces, encodeTraces(traces)],
  ['logs', decodeLogs, encodeLogs(logs)],
  ['metrics', countDataPoints, metrics()],
  ['status', decodeStatus, status],
  ['export response', decodeExportResponse, response],
]

const textual: readonly (readonly [string, (text: string) => unknown, string])[] = [
  ['traces', tracesFromJson, tracesToJson(traces)],
  ['logs', logsFromJson, logsToJson(logs)],
  [
    'metrics',
    countDataPointsInJson,
    '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"dataPoints":[{}]}}]}]}]}',
  ],
  ['status', statusFromJson, statusToJson({ code: 14, message: 'slow down', retryDelayMs: 1500 })],
  [
    'export response',
    text => exportResponseFromJson('traces', text),
    exportResponseToJson('traces', { rejected: 3, errorMessage: 'm' }),
  ],
]

/** One metric of each kind with one point, by the field numbers of metrics.proto. */
function metrics(): Uint8Array {
  const writer = new WireWriter()
  const levels = [10, 18].map(tag => writer.begin(tag))
  for (const kind of [42, 58, 74, 82, 90]) {
    const metric = writer.begin(18)
    writer.string(10, 'name')
    const data = writer.begin(kind)
    writer.bytes(10, Uint8Array.of(1, 2))
    writer.end(data)
    writer.end(metric)
  }
  for (const level of levels.toReversed()) writer.end(level)
  return writer.finish()
}

/** Whether it was refused, and with the one error allowed. */
function refuses(run: () => unknown, what: string): boolean {
  try {
    run()
    return false
  } catch (error) {
    if (!(error instanceof PipelineError))
      throw new Error(`${what}: ${String(error)}`, { cause: error })
    expect(['PAYLOAD_INVALID', 'PAYLOAD_TOO_LARGE'], what).toContain(error.code)
    return true
  }
}

/** In [0, 1): a failure names the seed and the round. */
function seeded(start: number): () => number {
  const random = new Random(start)
  return () => random.unit()
}

const seed = 20261121

for (const [name, decode, bytes] of binary) {
  test(`${name}: a request cut at any byte is refused, but between two of its fields`, () => {
    const whole = new Set([0])
    let pos = 0
    while (pos < bytes.length) {
      pos = fieldEnd(bytes, pos)
      whole.add(pos)
    }
    for (let length = 0; length < bytes.length; length++) {
      const what = `cut at ${length}`
      expect(
        refuses(() => decode(bytes.subarray(0, length)), what),
        what,
      ).toBe(!whole.has(length))
    }
  })

  test(`${name}: changed bytes give an answer or PAYLOAD_INVALID, nothing else`, () => {
    const random = seeded(seed)
    let refused = 0
    for (let round = 0; round < 4000; round++) {
      const changed = mutate(bytes, random)
      if (refuses(() => decode(changed), `seed ${seed} round ${round}`)) refused++
    }
    expect(refused).toBeGreaterThan(0)
  })
}

for (const [name, decode, text] of textual) {
  test(`${name} as JSON: a text cut anywhere is refused`, () => {
    for (let length = 0; length < text.length; length++) {
      const what = `cut at ${length}`
      expect(
        refuses(() => decode(text.slice(0, length)), what),
        what,
      ).toBe(true)
    }
  })

  test(`${name} as JSON: changed characters give an answer or PAYLOAD_INVALID, nothing else`, () => {
    const random = seeded(seed)
    const bytes = Buffer.from(text)
    for (let round = 0; round < 2000; round++) {
      const changed = Buffer.from(mutate(bytes, random)).toString()
      refuses(() => decode(changed), `seed ${seed} round ${round}`)
    }
  })
}

test('random bytes give an answer or PAYLOAD_INVALID, nothing else', () => {
  const random = seeded(seed)
  for (let round = 0; round < 3000; round++) {
    const bytes = Uint8Array.from({ length: Math.floor(random() * 60) }, () => random() * 256)
    for (const [name, decode] of binary) {
      refuses(() => decode(bytes), `${name}, seed ${seed} round ${round}`)
    }
  }
})

test('every shape of JSON in every place gives an answer or PAYLOAD_INVALID, nothing else', () => {
  const wrong = [
    'null',
    'true',
    '7',
    '-1.5',
    '1e400',
    '"x"',
    '[]',
    '[null]',
    '[[]]',
    '{}',
    '{"a":1}',
  ]
  const text = tracesToJson(traces)
  for (const at of text.matchAll(/"[a-zA-Z]+":/g)) {
    const start = at.index + at[0].length
    const end = valueEnd(text, start)
    for (const value of wrong) {
      const changed = text.slice(0, start) + value + text.slice(end)
      refuses(() => tracesFromJson(changed), `${at[0]}${value}`)
    }
  }
})

/** One to three changes: a byte set, flipped, taken out, put in, or a piece moved elsewhere. */
function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  let changed = Buffer.from(bytes)
  const times = 1 + Math.floor(random() * 3)
  for (let i = 0; i < times; i++) {
    const at = Math.floor(random() * changed.length)
    const rest = Math.floor(random() * 5)
    if (rest === 0) changed[at] = random() * 256
    else if (rest === 1) changed[at] = (changed[at] as number) ^ (1 << Math.floor(random() * 8))
    else if (rest === 2)
      changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1)])
    else if (rest === 3) {
      changed = Buffer.concat([
        changed.subarray(0, at),
        Buffer.of(random() * 256),
        changed.subarray(at),
      ])
    } else {
      const from = Math.floor(random() * changed.length)
      changed.copy(changed, at, from, Math.min(changed.length, from + Math.floor(random() * 40)))
    }
  }
  return changed
}

/** Where the length-delimited or varint field at `pos` ends: all that these messages have on top. */
function fieldEnd(bytes: Uint8Array, pos: number): number {
  let at = pos + 1
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] as number
    length |= (byte & 127) << shift
    if (byte < 128) break
  }
  return ((bytes[pos] as number) & 7) === 2 ? at + length : at
}

/** Where the JSON value at `start` ends. */
function valueEnd(text: string, start: number): number {
  for (let end = start + 1; end <= text.length; end++) {
    if (/[,}\]]/.test(text[end] ?? ',')) {
      try {
        JSON.parse(text.slice(start, end))
        return end
      } catch {
        // Not yet: a comma or bracket inside the value.
      }
    }
  }
  throw new Error(`no value at ${start}`)
}
