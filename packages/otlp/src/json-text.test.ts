import { expect, test } from 'vitest'
import { exactInteger, jsonContainersMax, jsonDepthMax, parseJsonText } from './json-text.ts'

test('a number that a double may not hold is its text, others are numbers', () => {
  expect(
    parseJsonText(
      '[9007199254740993,-9223372036854775808,0.8714285714285714,1e300,7,-0,1e2,12345678901234567890e-1]',
    ),
  ).toStrictEqual([
    '9007199254740993',
    '-9223372036854775808',
    0.8714285714285714,
    '1e300',
    7,
    -0,
    '1e2',
    '12345678901234567890e-1',
  ])
})

test('digits within strings are text', () => {
  expect(parseJsonText('["9007199254740993 \\"[{", 1]')).toStrictEqual(['9007199254740993 "[{', 1])
  expect(parseJsonText('["\\\\", 9007199254740993]')).toStrictEqual(['\\', '9007199254740993'])
})

test(`lists and objects nest to ${jsonDepthMax} and no deeper, brackets in strings aside`, () => {
  const nest = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  expect(parseJsonText(nest(jsonDepthMax))).toHaveLength(1)
  expect(() => parseJsonText(nest(jsonDepthMax + 1))).toThrow(/jsonDepthMax/)
  expect(() => parseJsonText('['.repeat(5_000_000))).toThrow(/jsonDepthMax/)
  expect(parseJsonText(JSON.stringify('['.repeat(jsonDepthMax + 1)))).toHaveLength(jsonDepthMax + 1)
})

test('the deepest text is exact too', () => {
  const text = `${'['.repeat(jsonDepthMax)}9007199254740993${']'.repeat(jsonDepthMax)}`
  let value = parseJsonText(text)
  while (Array.isArray(value)) value = value[0]
  expect(value).toBe('9007199254740993')
})

test(`a text has ${jsonContainersMax} lists and objects and no more`, () => {
  const lists = (count: number) => `[${'[],'.repeat(count - 2)}[]`
  // Without its last bracket: so far the count let it pass, and the parser did not have to build it.
  expect(() => parseJsonText(lists(jsonContainersMax))).toThrow(/not valid JSON/)
  expect(() => parseJsonText(lists(jsonContainersMax + 1))).toThrow(
    expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE' }),
  )
})

test('what is no JSON is refused, and its text not repeated', () => {
  for (const text of ['{"secret": oops}', '{"secret": "a', '{"secret"', '[1] secret']) {
    expect(() => parseJsonText(text), text).toThrow(
      /^\[PAYLOAD_INVALID\] not valid JSON(?!.*secret)/,
    )
  }
  expect(() => parseJsonText('{"secret": 1')).toThrow(/at position 12; send OTLP\/JSON$/)
  for (const text of ['', ' ', '{', '"', '"\\', 'nul', '1.', '--1', '[1,]', '\u0000']) {
    expect(() => parseJsonText(text), text).toThrow(/PAYLOAD_INVALID/)
  }
})

test('making a long number a string makes no valid JSON of what is none', () => {
  for (const text of [
    '{9007199254740993:1}',
    '{9007199254740993 \n:1}',
    '[09007199254740993]',
    '[1e5e5]',
    '[01e5]',
    '[9007199254740993-]',
    '[.1e5]',
    '[1.e5]',
    '[1e]',
    '[-]',
  ]) {
    expect(() => parseJsonText(text), text).toThrow(/PAYLOAD_INVALID/)
  }
})

test('bytes may begin with a byte order mark, and hold what is no UTF-8', () => {
  expect(parseJsonText(Buffer.from('\ufeff{"a":1}'))).toStrictEqual({ a: 1 })
  expect(parseJsonText(Uint8Array.of(0x22, 65, 0xff, 0x22))).toBe('A\ufffd')
})

test('a decimal text is the integer it means or none', () => {
  const cases: readonly (readonly [string, bigint | undefined])[] = [
    ['0', 0n],
    ['-0', 0n],
    ['007', 7n],
    ['1.50e1', 15n],
    ['1.5e3', 1500n],
    ['-2.0', -2n],
    ['100e-2', 1n],
    ['0e-9', 0n],
    ['5e-1', undefined],
    ['1.5', undefined],
    ['', undefined],
    ['+1', undefined],
    [' 1', undefined],
    ['0x10', undefined],
    ['1e999', undefined],
    ['1'.repeat(65), undefined],
  ]
  for (const [text, value] of cases) expect(exactInteger(text), text).toBe(value)
})
