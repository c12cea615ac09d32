import { expect, test } from 'vitest'
import { type AnyValue, anyValueDepthMax } from './otlp.ts'
import { anyValueToJson } from './to-json.ts'

test('64-bit numbers and what JSON has no number for are strings, bytes are base64', () => {
  for (const [value, json] of [
    [{ intValue: 2n ** 63n - 1n }, { intValue: '9223372036854775807' }],
    [{ doubleValue: 0.1 }, { doubleValue: 0.1 }],
    [{ doubleValue: Number.NaN }, { doubleValue: 'NaN' }],
    [{ doubleValue: Number.POSITIVE_INFINITY }, { doubleValue: 'Infinity' }],
    [{ doubleValue: Number.NEGATIVE_INFINITY }, { doubleValue: '-Infinity' }],
    [{ doubleValue: -0 }, { doubleValue: '-0' }],
    [{ bytesValue: Uint8Array.of(251, 255) }, { bytesValue: '+/8=' }],
    [{}, {}],
  ] as const) {
    expect(anyValueToJson(value)).toStrictEqual(json)
  }
})

test(`values nest to ${anyValueDepthMax} and no deeper, one that contains itself included`, () => {
  const wrap = (depth: number): AnyValue =>
    depth === 1 ? {} : { arrayValue: { values: [wrap(depth - 1)] } }
  const refused = expect.objectContaining({ code: 'PAYLOAD_INVALID' })
  expect(anyValueToJson(wrap(anyValueDepthMax))).toStrictEqual(wrap(anyValueDepthMax))
  expect(() => anyValueToJson(wrap(anyValueDepthMax + 1))).toThrow(refused)
  const own: AnyValue[] = []
  own.push({ arrayValue: { values: own } })
  expect(() => anyValueToJson({ arrayValue: { values: own } })).toThrow(refused)
})
