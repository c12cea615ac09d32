import { readFileSync } from 'node:fs'
import { changedJson, Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import type { DecisionHead } from './decision.ts'
import { parseDecisionHead } from './decision-record.ts'
import { type DropOutline, dropSlicesFrom, readDrop } from './drop-reader.ts'

/** A decision as the sampler writes one, without what people said of it. */
const [golden = ''] = readFileSync(
  new URL('../../../services/sampler/src/golden/decision.v1.jsonl', import.meta.url),
  'utf8',
)
  .split('\n')
  .filter(line => line.includes('"kind":"decision"'))
const kept: string = golden.replace(
  /"write":\[.*?\],"evaluations":\[.*?\],"requests":\[.*?\]/,
  '"write":[],"evaluations":[],"requests":[]',
)
const dropped: string = kept.replace('"verdict":"keep"', '"verdict":"drop"')

/** What the parser has of it, as `readDrop` says it. */
function parsed(text: string): object | undefined {
  const head = parseDecisionHead(text)
  if (head.kind !== 'record' || head.record.kind !== 'decision') return undefined
  const { rules, fingerprint: _, ...own } = head.record as DecisionHead
  return { ...own, matched: rules.filter(({ matched }) => matched).map(({ name }) => name) }
}

const read = (text: string): DropOutline | undefined => readDrop(Buffer.from(text))

test('a drop as the sampler writes it is read without the parser, and alike', () => {
  const awaiting = dropped
    .replace('"firstSpanAtMs":1000,"lastSpanAtMs":1000', '"firstSpanAtMs":null,"lastSpanAtMs":null')
    .replace('"complete":true', '"complete":null')
    .replace(
      '"rootSpanId":"0000000000000001","service":"refund-bot"',
      '"rootSpanId":null,"service":null',
    )
    .replace('"closeReason":"root","closedAtMs":2000', '"closeReason":null,"closedAtMs":null')
    .replace('"durationMs":2608', '"durationMs":null')
    .replace(/"rules":\[.*?\],"probability"/, '"rules":[],"probability"')
  for (const line of [dropped, awaiting, dropped.replace('"complete":true', '"complete":false')]) {
    expect(read(line), line).toEqual(parsed(line))
    expect(read(line), line).toBeDefined()
  }
  expect(read(dropped)?.matched.length).toBeGreaterThan(1)
  readDrop(Buffer.from(dropped))
  expect(dropSlicesFrom()).toBe(dropped.indexOf(',"slices":[') + ',"slices":['.length)
})

test.for([
  '0',
  '7',
  '-0',
  '-3.25',
  '0.1',
  '3286.999808',
  '123456789012345',
  '1234567890123456',
  '9007199254740993',
  '0.00000000000001',
  '99999999999999.9',
  '1e3',
  '1.5e-7',
  '5e-324',
  '1e400',
  '0.30000000000000004',
  '0.000071',
])('a number is what the parser reads: %s', number => {
  const line = dropped.replace('"costUsd":0.000071', `"costUsd":${number}`)
  expect(read(line)).toEqual(parsed(line))
  expect(read(line)).toBeDefined()
})

test.for([
  ['a keep', (): string => kept],
  [
    'one on which somebody has said something',
    (): string => golden.replace('"verdict":"keep"', '"verdict":"drop"'),
  ],
  [
    'one with a member that only some have',
    (): string => dropped.replace('"closeReason"', '"series":true,"closeReason"'),
  ],
  [
    'another order of keys',
    (): string => dropped.replace('"v":1,"kind":"decision"', '"kind":"decision","v":1'),
  ],
  ['an escape', (): string => dropped.replace('refund-bot', 'refund\\u002dbot')],
  ['a newer format', (): string => dropped.replace('"v":1', '"v":2')],
  [
    'slices within an answer',
    (): string => dropped.replace('"detail":{', '"detail":{"slices":[],'),
  ],
  ['a claim', (): string => '{"v":1,"kind":"claim","by":"x"}'],
  ['nothing', (): string => ''],
] as const)('%s is left to the parser', ([, line]) => {
  expect(read(line())).toBeUndefined()
})

test('whatever is changed in a text, what is read of it is what the parser reads', () => {
  const seed = 21
  const random = new Random(seed)
  const to = dropped.indexOf(',"slices":[') + 12
  let readAlike = 0
  for (let round = 0; round < 40_000; round++) {
    const changed = changedJson(dropped, to, random)
    const drop = read(changed)
    if (drop === undefined) continue
    readAlike++
    expect(drop, `seed ${seed}, round ${round}: ${changed}`).toEqual(parsed(changed))
  }
  expect(readAlike).toBeGreaterThan(1000)
})
