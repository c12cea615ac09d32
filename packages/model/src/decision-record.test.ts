import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { decisionFormat, parseDecision, parseDecisionHead, slicesText } from './decision-record.ts'
import { packSlice } from './slice-packer.ts'
import { spanBlockBytes } from './span-blocks.ts'

const slice = packSlice({
  ref: { partition: 0, offset: 7, start: 0, length: 100, spanCount: 1 },
  appendedAtMs: 1_000,
  facts: { startNs: '0', endNs: '0', spans: Buffer.alloc(spanBlockBytes).toString('base64') },
})
const head = {
  v: 1,
  kind: 'decision',
  tenant: 'default',
  traceId: '0'.repeat(32),
  revision: 1,
  claim: 4,
  seq: 2,
  write: [0],
  prev: null,
}
const text = (record: object): string => JSON.stringify(record)
const both = (json: string) => [parseDecision(json), parseDecisionHead(json)]

test('a decision is read whole, and its head without the slices', () => {
  const json = text({ ...head, slices: [slice, slice] })
  expect(parseDecision(json)).toEqual({
    kind: 'record',
    record: { ...head, slices: [slice, slice] },
  })
  expect(parseDecisionHead(json)).toEqual({ kind: 'record', record: head })
  expect(slicesText(json)).toBe(`${text(slice)},${text(slice)}`)
})

test('a decision without slices of its own has a head and an empty text', () => {
  const json = text({ ...head, slices: [] })
  expect(parseDecisionHead(json)).toEqual({ kind: 'record', record: head })
  expect(slicesText(json)).toBe('')
})

test('a claim is a record of either kind', () => {
  const claim = { v: 1, kind: 'claim', by: 'sampler ,"slices":[' }
  for (const parsed of both(text(claim))) expect(parsed).toEqual({ kind: 'record', record: claim })
})

test('a newer format is said by number, at the limit it is read', () => {
  const at = (v: number) => text({ ...head, v, slices: [slice] })
  for (const parsed of both(at(decisionFormat))) expect(parsed.kind).toBe('record')
  for (const parsed of both(at(decisionFormat + 1))) {
    expect(parsed).toEqual({ kind: 'newer', v: decisionFormat + 1 })
  }
})

test('the name of the slices within a text is no key', () => {
  const policyVersion = 'x,"slices":[1]},"slices":['
  const json = text({ ...head, policyVersion, slices: [slice] })
  expect(parseDecisionHead(json)).toEqual({ kind: 'record', record: { ...head, policyVersion } })
  expect(slicesText(json)).toBe(text(slice))
})

test('slices that are not last are read all the same, and their text is not offered', () => {
  const { write, ...rest } = head
  const { prev, ...more } = head
  const { seq, ...others } = head
  const orders = [
    { ...rest, slices: [slice], write },
    { ...more, slices: [slice], prev },
    { ...others, slices: [slice], seq },
    { ...others, slices: [slice], seq, write: [] },
  ]
  for (const record of orders) {
    expect(parseDecision(text(record))).toEqual({ kind: 'record', record })
    const { slices: _, ...expected } = record
    expect(parseDecisionHead(text(record))).toEqual({ kind: 'record', record: expected })
    expect(slicesText(text(record))).toBeUndefined()
  }
  const first = text({ slices: [slice], ...head })
  expect(parseDecisionHead(first)).toEqual({ kind: 'record', record: head })
  expect(slicesText(first)).toBeUndefined()
})

test('bytes that are no record are none, whole and in part', () => {
  const whole = text({ ...head, slices: [slice] })
  const lacking = ['tenant', 'traceId', 'revision', 'claim', 'seq', 'v', 'kind'].map(key =>
    text({ ...head, slices: [slice], [key]: undefined }),
  )
  const wrong = [
    text({ ...head, slices: {} }),
    text({ ...head, claim: 1.5, slices: [] }),
    text({ ...head, seq: '2', slices: [] }),
    text({ ...head, v: 0, slices: [] }),
    text(head),
  ]
  const garbage = ['', '{', 'null', '[]', '5', '"x"', '{"v":1}', ',"slices":[', ',"slices":[]}']
  for (const json of [...garbage, ...lacking, ...wrong]) {
    for (const parsed of both(json)) expect(parsed, json).toEqual({ kind: 'none' })
  }
  for (let end = 0; end < whole.length; end++) {
    for (const parsed of both(whole.slice(0, end))) expect(parsed.kind, `${end}`).toBe('none')
  }
})

test('the golden decision has a head that says all but the slices', () => {
  const url = new URL('../../../services/sampler/src/golden/decision.v1.jsonl', import.meta.url)
  const json = readFileSync(url, 'utf8').trimEnd()
  const { slices, ...rest } = JSON.parse(json)
  expect(parseDecisionHead(json)).toEqual({ kind: 'record', record: rest })
  expect(`[${slicesText(json)}]`).toBe(JSON.stringify(slices))
})
