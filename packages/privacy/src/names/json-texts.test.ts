import fc from 'fast-check'
import { expect, test } from 'vitest'
import { literalsMax, mapTexts as mapTextsOr } from './json-texts.ts'

const mapTexts = (value: string, map: (text: string) => string | undefined): string | undefined =>
  mapTextsOr(value, map, () => {
    throw new Error('more strings than are looked at')
  })

function textsIn(value: string): string[] {
  const texts: string[] = []
  mapTexts(value, text => {
    texts.push(text)
    return undefined
  })
  return texts
}

const upper = (value: string): string | undefined => mapTexts(value, text => text.toUpperCase())

test('of JSON the strings are texts, as they read, and those of JSON in them', () => {
  const inner = JSON.stringify({ body: 'Zo\u00eb "x"\nb' })
  expect(
    textsIn(JSON.stringify([{ role: 'user', n: 1e21, content: [inner, null, true] }])),
  ).toEqual(['user', 'Zo\u00eb "x"\nb'])
  expect(textsIn('{"a":"Jos\\u00e9","b":"\\/"}')).toEqual(['José', '/'])
  expect(textsIn('"just a text"')).toEqual(['just a text'])
  expect(textsIn('{"Maria Lopez": 3, "count": 4}')).toEqual(['Maria Lopez'])
})

test('what only begins as JSON is one text', () => {
  for (const value of ['plain', '"Maria" said', '{Maria Lopez}', '[x] "a"', '{"a": Maria}', '']) {
    expect(textsIn(value)).toEqual([value])
  }
})

test('JSON that was cut short still is JSON, wherever it was cut', () => {
  const whole = '{"a":"Jos\\u00e9 \\\\ L\\"x","b":[true,null,-1.5e9],"c":"Maria"}'
  for (let length = 1; length < whole.length; length++) {
    const cut = whole.slice(0, length)
    const mapped = mapTexts(cut, () => 'X') ?? cut
    expect(mapped, cut).not.toMatch(/Jos|Maria/)
    expect(mapped.startsWith('{')).toBe(true)
  }
  expect(textsIn('{"a":"Jos\\u00e')).toEqual(['Jos'])
  expect(mapTexts('{"a":"Maria Lo', () => '<x>')).toBe('{"a":"<x>')
})

test('what was JSON stays JSON of the same shape, each text mapped once', () => {
  const words = fc.string({ unit: 'binary', maxLength: 8 })
  const { value } = fc.letrec<{ value: unknown }>(tie => ({
    value: fc.oneof(
      { maxDepth: 4 },
      words.map(text => `t ${text}`),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), tie('value'), { maxKeys: 4 }),
    ),
  }))
  const mappedOf = (one: unknown): unknown =>
    typeof one === 'string'
      ? one.toUpperCase()
      : Array.isArray(one)
        ? one.map(mappedOf)
        : typeof one === 'object' && one !== null
          ? Object.fromEntries(Object.entries(one).map(([key, each]) => [key, mappedOf(each)]))
          : one
  fc.assert(
    fc.property(fc.oneof(fc.array(value), fc.dictionary(fc.constant('k'), value)), one => {
      const text = JSON.stringify(one)
      expect(JSON.parse(upper(text) ?? text)).toEqual(JSON.parse(JSON.stringify(mappedOf(one))))
    }),
  )
})

test('where nothing is mapped nothing is written anew', () => {
  expect(mapTexts('{"a": "\\u0041",  "n": 12345678901234567890}', () => undefined)).toBeUndefined()
})

test('a value has as many strings as are looked at, those within its strings too, and not one more: literalsMax', () => {
  const listOf = (strings: number): string => JSON.stringify(new Array(strings).fill('A b'))
  const mapped = (value: string) =>
    mapTextsOr(
      value,
      () => undefined,
      whole => (whole === value ? 'large' : 'a part of it'),
    )
  expect(mapped(listOf(literalsMax))).toBeUndefined()
  expect(mapped(listOf(literalsMax + 1))).toBe('large')
  // The string that the inner list is counts too.
  expect(mapped(JSON.stringify([listOf(literalsMax - 1)]))).toBeUndefined()
  expect(mapped(JSON.stringify([listOf(literalsMax)]))).toBe('large')
  expect(mapped('"'.repeat(2 * literalsMax))).toBeUndefined()
  expect(mapped('"'.repeat(2 * literalsMax + 1))).toBe('large')
})
