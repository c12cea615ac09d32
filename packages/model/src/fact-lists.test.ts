import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseFactLists } from './fact-lists.ts'
import { expandFactText, factToken, spanIdToken } from './fact-tokens.ts'

const source = {
  startNs: '1716370863120000000',
  idOf: (span: number) => (span < 300 ? span.toString(16).padStart(16, '0') : undefined),
}

/** What the text says by way of its JSON. */
function spelledOut(text: string): unknown {
  const json = expandFactText(text, source)
  if (json === undefined || !json.startsWith(',')) return undefined
  try {
    return JSON.parse(`{${json.slice(1)}}`)
  } catch {
    return undefined
  }
}

const t = factToken
const id = (span: number) => spanIdToken(span, 0, span)
const root =
  `${t.openSpanId}${id(0)}${t.parentId}"00000000000000ab"${t.service}"s"${t.name}"n"` +
  `${t.startNs}${t.sliceStart}${t.durationMs}2608.125,"error":true}`
const late = `${t.openSpanId}${id(20_000)}${t.service}"é"${t.name}""${t.startNs}17${t.durationMs}0}`
const outcome = (rest: string) => `${t.openName}"judge"${t.spanId}${id(7)}${rest}}`
const judged = outcome(`${t.score}0.5${t.label}"fail"${t.passed}false`)
const claims = outcome(`${t.extracted}3${t.supported}2${t.unsupported}1`)
const examples = [
  `${t.roots}${root}]`,
  `${t.roots}${root},${late}]${t.errors}${t.openSpanId}${id(1)}${t.name}"x"}]`,
  `${t.outcomes}${judged},${claims}],"rv":"0f","truncated":true,"ignored":4`,
  `${t.roots}${late}]${t.outcomes}${outcome(`${t.score}1e-7`)}]`,
  `${t.errors}${t.openSpanId}${id(1)}${t.name}"\\u0001\\""}]${t.services}"a"]`,
  `${t.roots}]`,
  ',"th":"8"',
]

test('lists in tokens are read as the JSON that they stand for', () => {
  for (const text of examples) {
    expect(spelledOut(text)).toBeDefined()
    expect(parseFactLists(text, source)).toEqual(spelledOut(text))
  }
  expect(parseFactLists(examples[0] as string, source)).toEqual({
    roots: [
      {
        spanId: '0'.repeat(16),
        parentId: '00000000000000ab',
        service: 's',
        name: 'n',
        startNs: source.startNs,
        durationMs: 2608.125,
        error: true,
      },
    ],
  })
})

test('a comma behind the last list is no list', () => {
  for (const text of [...examples.map(one => `${one},`), ',']) {
    expect(parseFactLists(text, source), text).toEqual(spelledOut(text))
  }
})

test('what differs from them anywhere is read as its JSON all the same, or is none', () => {
  const pieces = [
    ...Object.values(t),
    '{',
    '}',
    ']',
    ',',
    '"',
    '0',
    '01',
    '1.',
    '-1',
    'true',
    '\\',
    'x',
    '',
  ]
  const change = fc.record({ at: fc.nat(), cut: fc.nat(3), piece: fc.constantFrom(...pieces) })
  fc.assert(
    fc.property(
      fc.constantFrom(...examples),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      (example, changes) => {
        let text = example
        for (const { at, cut, piece } of changes) {
          const from = at % (text.length + 1)
          text = text.slice(0, from) + piece + text.slice(from + cut)
        }
        fc.pre(text !== '')
        expect(parseFactLists(text, source)).toEqual(spelledOut(text))
      },
    ),
    { numRuns: 5_000 },
  )
})
