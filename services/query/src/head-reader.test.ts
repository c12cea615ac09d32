import { readFileSync } from 'node:fs'
import { type DecisionHead, parseDecisionHead, slicesText } from '@winnow/model'
import { changedJson, Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import { factsOf } from './decision-facts.ts'
import { decisionItem } from './decision-item.ts'
import { readFacts as readBytes } from './head-reader.ts'

const readFacts = (text: string) => readBytes(Buffer.from(text))

/** What the sampler writes, line by line. */
const written = readFileSync(
  new URL('../../sampler/src/golden/decision.v1.jsonl', import.meta.url),
  'utf8',
)
  .trimEnd()
  .split('\n')
  .filter(line => line.includes('"kind":"decision"'))

function parsed(text: string): object | undefined {
  const head = parseDecisionHead(text)
  const isDecision = head.kind === 'record' && head.record.kind === 'decision'
  return isDecision ? factsOf(head.record as DecisionHead) : undefined
}

/** A golden decision with every member that only some have. */
function rich(): string {
  const [line = ''] = written
  return line
    .replace('"stratum":"span-error"', '"stratum":"span-error","inherited":true,"gone":true')
    .replace(',"closeReason"', ',"series":true,"closeReason"')
    .replace('],"evaluations"', '],"writePrev":true,"evaluations"')
    .replace(',"seriesAtMs"', ',"weighedAtMs":5,"seriesAtMs"')
    .replace(
      ',"sliceCount"',
      ',"retractionsRefused":true,"seriesFrom":{"offset":7,"start":9},"sliceCount"',
    )
    .replace('"durationMs":2608', '"durationMs":1.5e-7')
    .replace('"service":"refund-bot"', '"service":"Grüße, 支払い"')
}

test('what the sampler writes is read without the parser, and alike', () => {
  expect(written.length).toBeGreaterThan(0)
  for (const line of [...written, rich()]) {
    expect(readFacts(line), line).toEqual(parsed(line))
    expect(readFacts(line), line).toBeDefined()
  }
  expect(readFacts(rich())).toMatchObject({
    gone: true,
    seriesFrom: { offset: 7, start: 9 },
    durationMs: 1.5e-7,
    service: 'Grüße, 支払い',
  })
})

test('whatever is changed in a text, what is read of it is what the parser reads', () => {
  const seed = 20
  const random = new Random(seed)
  let readAlike = 0
  for (let round = 0; round < 40_000; round++) {
    const text = round % 2 === 0 ? rich() : (written[round % written.length] ?? '')
    // Mostly in the head; what lies behind it is not looked at.
    const changed = changedJson(text, text.indexOf(',"slices":[') + 12, random)
    const facts = readFacts(changed)
    if (facts === undefined) continue
    readAlike++
    expect(facts, `seed ${seed}, round ${round}: ${changed}`).toEqual(parsed(changed))
  }
  expect(readAlike).toBeGreaterThan(1000)
})

test.for([
  [
    'another order of keys',
    (line: string) => line.replace('"v":1,"kind":"decision"', '"kind":"decision","v":1'),
  ],
  ['an escape', (line: string) => line.replace('refund-bot', 'refund\\u002dbot')],
  ['a newer format', (line: string) => line.replace('"v":1', '"v":2')],
  [
    'slices within an evaluation',
    (line: string) => line.replace('"id":', '"x":1,"slices":[],"id":'),
  ],
  ['a claim', () => '{"v":1,"kind":"claim","by":"x"}'],
  ['nothing', () => ''],
] as const)('%s is left to the parser', ([, change]) => {
  expect(readFacts(change(written[0] ?? ''))).toBeUndefined()
})

test.for(written)('the slices of what the sampler writes are those that the parser finds', line => {
  const cut = line.slice(0, line.indexOf(',"slices":[') + 11)
  for (const text of [line, `${cut}]}`, `${cut}1]}`, line.replace('"id":', '"id":"",\n"x":')]) {
    const { slices } = decisionItem('d/0', 0, Buffer.from(text))
    expect(slices).toBe(slicesText(text))
  }
})
