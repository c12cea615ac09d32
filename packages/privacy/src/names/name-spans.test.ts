import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readNameAnswer } from './name-answer.ts'
import { canonicalName, codePointsOf, type NameSpan, withNameTokens } from './name-spans.ts'

const tokenOf = (kind: string, thing: string) => `<${kind}:${thing}>`

/** As Python would count it. */
const lengthOf = (text: string): number => [...text].length

function spanOf(text: string, part: string, entity = 'PERSON', score = 0.85): NameSpan {
  const start = lengthOf(text.slice(0, text.indexOf(part)))
  return { start, end: start + lengthOf(part), entity, score }
}

const put = (text: string, ...spans: NameSpan[]): string =>
  withNameTokens(text, spans, tokenOf, () => {})

test('places are code points: whatever stands in front of a name, and in it, the name goes and nothing else', () => {
  const filler = fc.string({ unit: 'binary', maxLength: 12 })
  const name = fc.constantFrom('Maria Lopez', '李小龙', '𠮷野 家', 'Zoë', 'Jose\u0301', 'Ivan')
  fc.assert(
    fc.property(filler, name, filler, (before, one, after) => {
      const front = `${before} `
      const start = lengthOf(front)
      const span = { start, end: start + lengthOf(one), entity: 'PERSON', score: 1 }
      const text = `${front}${one} ${after}`
      expect(codePointsOf(text)).toBe(lengthOf(text))
      expect(put(text, span)).toBe(`${front}<person:${canonicalName(one)}> ${after}`)
    }),
  )
})

test('a name is one thing however it is written', () => {
  expect(canonicalName('Zoë  LÓPEZ')).toBe(canonicalName('Zoe\u0308\nLo\u0301pez'))
  expect(canonicalName('Maria')).not.toBe(canonicalName('Maria Lopez'))
})

test('spans that overlap are one name, of the surer kind; those that touch are two', () => {
  const text = 'ask Dr Maria Lopez Garcia now'
  const found: string[] = []
  const spans = [
    spanOf(text, 'Lopez Garcia', 'LOCATION', 0.4),
    spanOf(text, 'Maria Lopez'),
    spanOf(text, 'Dr'),
  ]
  expect(withNameTokens(text, spans, tokenOf, kind => found.push(kind))).toBe(
    'ask <person:dr> <person:maria lopez garcia> now',
  )
  expect(found).toEqual(['person', 'person'])
  const touching = [{ ...spanOf(text, 'Maria'), end: 12 }, spanOf(text, ' Lopez')]
  expect(put(text, ...touching)).toBe('ask Dr <person:maria> <person:lopez> Garcia now')
  expect(
    put(text, spanOf(text, 'Maria'), spanOf(text, 'Dr Maria Lopez Garcia', 'LOCATION', 1)),
  ).toBe('ask <location:dr maria lopez garcia> now')
})

test('a token that is there stays, and what is around it in the same span goes', () => {
  const mail = '<email:e_4f81a09c2b17>'
  const text = `Maria Lopez, ${mail} Garcia`
  expect(put(text, spanOf(text, text))).toBe(`<person:maria lopez>, ${mail} <person:garcia>`)
  expect(put(text, spanOf(text, mail))).toBe(text)
  expect(put(text, spanOf(text, 'email'))).toBe(text)
  expect(put('<unscanned>', spanOf('<unscanned>', 'unscanned'))).toBe('<unscanned>')
  const two = `${mail}${mail} Ann`
  expect(put(two, spanOf(two, two))).toBe(`${mail}${mail} <person:ann>`)
})

test('blanks and marks at the ends of a span stay', () => {
  const text = 'from "Maria Lopez"\n'
  expect(put(text, spanOf(text, ' "Maria Lopez"\n'))).toBe('from "<person:maria lopez>"\n')
  expect(put('… !', { start: 0, end: 3, entity: 'PERSON', score: 1 })).toBe('… !')
})

test('a span of marks that a detector took for a name costs no more than its length', () => {
  const marks = '! '.repeat(200_000)
  const text = `a${marks}b${marks}`
  expect(put(text, spanOf(text, text))).toBe(`<person:a${marks}b>${marks}`)
  expect(put(marks, spanOf(marks, marks))).toBe(marks)
})

const good = { entity_type: 'PERSON', start: 0, end: 2, score: 0.85 }

test('an answer is read for one text and for several', () => {
  const span = { start: 0, end: 2, entity: 'PERSON', score: 0.85 }
  expect(readNameAnswer(JSON.stringify([good]), ['😀a'])).toEqual([[span]])
  expect(readNameAnswer(JSON.stringify([[good], []]), ['ab', 'c'])).toEqual([[span], []])
  expect(readNameAnswer('[]', ['ab'])).toEqual([[]])
})

test.each([
  { start: -1 },
  { start: 2 },
  { end: 3 },
  { end: 1.5 },
  { end: '2' },
  { start: undefined },
  { entity_type: 7 },
  { score: 'sure' },
  { score: null },
])('of a text for which %j was answered nothing is known, and of others what was', wrong => {
  const body = JSON.stringify([[{ ...good, ...wrong }], [good]])
  expect(readNameAnswer(body, ['😀a', 'ab'])?.map(one => one?.length)).toEqual([undefined, 1])
})

test.each(['', '{}', 'null', '"a"', '[[]]', '[[],[],[]]', '[[],{}]', '[1,2]', '<html>'])(
  '%j is no answer for two texts',
  body => {
    expect(readNameAnswer(body, ['a', 'b'])).toBeUndefined()
  },
)
