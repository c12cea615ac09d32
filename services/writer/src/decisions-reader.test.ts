import { readFileSync } from 'node:fs'
import type { BusRecord } from '@winnow/bus'
import {
  countingStart,
  type Decision,
  type PackedSlice,
  packSlice,
  parseDecisionHead,
} from '@winnow/model'
import { ManualClock } from '@winnow/runtime'
import { decisionOf, ledgerEntry, ledgerRow } from '@winnow/storage'
import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import { Abreast } from './abreast.ts'
import { foldRecords, parseRecord, RecordParser, refsToWrite } from './decisions-reader.ts'
import { decisionOn, loggedOn, sliceAt, traceIdOf } from './writer.fixture.ts'

const records = (values: readonly unknown[]): BusRecord[] =>
  values.map((value, offset) => ({
    offset,
    appendedAtMs: 1_000 + offset,
    value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  }))

const claim = { v: 1, kind: 'claim', by: 'test' }

function judgedAt(offset: number, score: number, passed: boolean): PackedSlice {
  const slice = sliceAt({ offset })
  const outcomes = [{ name: 'judge', spanId: '00000000000000ab', score, passed }]
  return packSlice({ ...slice, facts: { ...slice.facts, outcomes } })
}

test('what counts is folded record by record, and the state behind each is known', () => {
  const own = (n: number, seq: number, of = 0): unknown =>
    decisionOn(traceIdOf(n), { claim: of, seq })
  const folded = foldRecords(
    // In sequence, a repeat, one that skips, the next, a claim, a stale one, a current one.
    records([claim, own(1, 1), own(1, 1), own(2, 3), own(2, 2), claim, own(3, 3), own(3, 1, 5)]),
    countingStart,
    parseRecord,
    () => expect.fail('all are records'),
  )
  expect(folded.map(({ logged }) => logged?.decision.traceId)).toEqual([
    undefined,
    traceIdOf(1),
    undefined,
    undefined,
    traceIdOf(2),
    undefined,
    undefined,
    traceIdOf(3),
  ])
  expect(folded.map(({ after }) => `${after.claim} ${after.next}`)).toEqual([
    '0 1',
    '0 2',
    '0 2',
    '0 2',
    '0 3',
    '5 1',
    '5 1',
    '5 2',
  ])
})

test('where no claim is known, the records say which is in force: not what was left behind it', () => {
  const own = (n: number, of: number, seq: number): unknown =>
    decisionOn(traceIdOf(n), { claim: of, seq })
  const fold = (values: readonly unknown[], state = countingStart) =>
    foldRecords(records(values), state, parseRecord, () => {}).map(
      ({ logged }) => logged !== undefined,
    )
  // 70 and 90 are claims that retention has removed, 70 the former owner's.
  expect(fold([own(1, 70, 4), 'no json', own(2, 90, 8), own(1, 70, 5), own(3, 90, 9)])).toEqual([
    false,
    false,
    true,
    false,
    true,
  ])
  // A claim record ends it: what lies before was in force until then.
  expect(fold([own(1, 70, 4), claim, own(2, 1, 1), own(3, 90, 8)])).toEqual([
    true,
    false,
    true,
    true,
  ])
  expect(fold([own(1, 70, 4), own(2, 90, 8)], { claim: 70, next: 4 })).toEqual([true, true])
})

test('bytes that are no record count for nobody and are told by offset', () => {
  const unreadable: number[] = []
  const decision = decisionOn(traceIdOf(1), { claim: 0, seq: 1 })
  const folded = foldRecords(
    records([
      claim,
      'no json',
      'null',
      '[]',
      { v: 0, kind: 'claim' },
      { v: 1, kind: 'other' },
      { ...decision, seq: '1' },
      { ...decision, slices: undefined },
      decision,
    ]),
    countingStart,
    parseRecord,
    offset => unreadable.push(offset),
  )
  expect(unreadable).toEqual([1, 2, 3, 4, 5, 6, 7])
  const { slices: _, ...head } = decision
  expect(folded.at(-1)).toMatchObject({
    logged: { decision: head },
    after: { claim: 0, next: 2 },
  })
  expect(folded.length).toBe(9)
})

test('a newer format is refused by name and never skipped: it may count', () => {
  expect(() =>
    foldRecords(records([claim, { v: 2 }]), countingStart, parseRecord, () => {}),
  ).toThrow(
    /DATA_CORRUPT.*record 1 has format v 2, this release reads up to 1: upgrade the writers/,
  )
})

test('what is to be written is what `write` names', () => {
  const slices = [sliceAt({ offset: 3 }), sliceAt({ offset: 4 }), sliceAt({ offset: 9 })]
  const refs = refsToWrite(loggedOn(traceIdOf(1), { slices, write: [2, 0, 7] }))
  expect(refs.map(({ offset }) => offset)).toEqual([9, 3])
})

test('a record is parsed once for two groups in step, and again for one that lags behind', () => {
  const value = Buffer.from(JSON.stringify(decisionOn(traceIdOf(1))))
  const abreast = new Abreast(new ManualClock())
  for (const group of ['hot', 'segments']) {
    for (const partition of [0, 1]) abreast.enter(partition, group)
  }
  const parser = new RecordParser(abreast.shelf(2 * value.length))
  const first = parser.parse(0, 1, value)
  expect(parser.parse(0, 1, value)).toBe(first)
  // Asked for by both: nothing waits for a third.
  const again = parser.parse(0, 1, value)
  expect(again).not.toBe(first)
  expect(again).toEqual(first)
  const second = parser.parse(0, 2, value)
  const third = parser.parse(0, 3, value)
  // There was room for two: `again` and `second`.
  expect(parser.parse(0, 1, value)).toBe(again)
  expect(parser.parse(0, 2, value)).toBe(second)
  expect(parser.parse(0, 3, value)).not.toBe(third)
  // One number of two partitions is two records.
  expect(parser.parse(1, 3, Buffer.from(JSON.stringify(claim)))).toEqual({ kind: 'claim', claim })
  expect(parser.parse(1, 9, Buffer.from('none'))).toBeUndefined()
})

test('of slices their places are held where they are written, and what they say of outcomes', () => {
  const slices = [sliceAt({ offset: 3 })]
  const judged = [judgedAt(3, 0.4, false)]
  const read = (changes: Partial<Decision>): [number, boolean | null] | undefined => {
    const { slices: own, ...head } = decisionOn(traceIdOf(1), changes)
    const parsed = parseRecord(Buffer.from(JSON.stringify({ ...head, slices: own })), 1)
    if (parsed?.kind !== 'decision') return undefined
    const { decision, json } = parsed.logged
    expect(decision).toEqual(head)
    // The record itself is what the ledger holds of it.
    expect(json).toBeUndefined()
    const { slices: places, outcomes: held } = parsed.logged
    return [places.length, held.judge_passed]
  }
  expect(read({ slices })).toEqual([1, null])
  expect(read({ slices: judged })).toEqual([1, false])
  expect(read({ slices, verdict: 'drop' })).toEqual([0, null])
  expect(read({ slices: judged, verdict: 'drop' })).toEqual([0, false])
  expect(read({ slices: [], writePrev: true, prev: 0 })).toEqual([0, null])
})

test('what the ledger holds of a drop is what it holds of any decision', () => {
  const [golden = ''] = readFileSync(
    new URL('../../sampler/src/golden/decision.v1.jsonl', import.meta.url),
    'utf8',
  ).split('\n')
  const lists = '"write":[],"evaluations":[],"requests":[]'
  const line = golden
    .replace('"verdict":"keep"', '"verdict":"drop"')
    .replace(/"write":\[.*?\],"evaluations":\[.*?\],"requests":\[.*?\]/, lists)
  const none = { slices: 0, bytes: 0 }
  const whole = decisionOf({ decision: line })
  const slices = [sliceAt({ offset: 3 }), judgedAt(4, 0.4, false), judgedAt(5, 0.2, true)]
  for (const decision of [whole, { ...whole, slices }, { ...whole, slices: [] }]) {
    const value = Buffer.from(JSON.stringify(decision))
    const parsed = parseRecord(value, 1)
    if (parsed?.kind !== 'decision') return expect.fail('it is a decision')
    expect(parsed.logged.decision).toHaveProperty('matched')
    expect(parsed.logged.slices).toEqual([])
    const json = (parsed.logged.json ?? value).toString()
    expect(ledgerEntry(parsed.logged, json, 3, 7, none)).toEqual(ledgerRow(decision, 3, 7))
  }
})

test('a record whose slices stand elsewhere is the same record', () => {
  const { slices, ...head } = decisionOn(traceIdOf(1), { slices: [sliceAt({ offset: 3 })] })
  const parsed = parseRecord(Buffer.from(JSON.stringify({ slices, ...head })), 1)
  const places = slices.map(({ ref, appendedAtMs }) => ({ ref, appendedAtMs }))
  const decision = { ...head, slices }
  expect(parsed).toMatchObject({ kind: 'decision', logged: { decision, slices: places } })
})

test('a decision whose slices alone are broken counts, has nothing to write, and is told', () => {
  const { slices: _, ...head } = decisionOn(traceIdOf(1), { write: [0], sliceCount: 1 })
  const told: string[] = []
  const folded = foldRecords(
    records([claim, { ...head, slices: ['no slice'] }, decisionOn(traceIdOf(2), { seq: 2 })]),
    countingStart,
    parseRecord,
    (offset, what) => told.push(`${what} ${offset}`),
  )
  expect(told).toEqual(['writer.unreadable_slices 1'])
  expect(folded.map(({ logged }) => logged?.decision.traceId)).toEqual([
    undefined,
    traceIdOf(1),
    traceIdOf(2),
  ])
  const broken = folded[1]?.logged
  expect(broken && refsToWrite(broken)).toEqual([])
  // What the ledger holds of it is a decision again.
  const decision = Buffer.from(broken?.json ?? '').toString()
  expect(decisionOf({ decision })).toEqual({ ...head, slices: [] })
})

test('whatever becomes of the bytes of slices, a record counts exactly where it does for every reader', () => {
  const slices = [sliceAt({ offset: 3 }), sliceAt({ offset: 4 })]
  const { slices: own, ...head } = decisionOn(traceIdOf(1), { slices })
  const { write, evaluations, ...early } = head
  const texts = [
    JSON.stringify({ ...head, slices: own }),
    JSON.stringify({ ...early, slices: own, write, evaluations }),
    JSON.stringify({ ...head, evaluations: [{ id: 'x', slices: [1] }], slices: own }),
  ]
  const seen = { whole: 0, broken: 0, none: 0 }
  const random = new Random(7)
  for (let turn = 0; turn < 3_000; turn++) {
    const value = Buffer.from(texts[turn % texts.length] ?? '')
    const from = value.indexOf(JSON.stringify(own))
    for (let changes = random.int(0, 3); changes > 0; changes--) {
      value[from + random.int(0, JSON.stringify(own).length - 1)] = random.int(32, 126)
    }
    const parsed = parseRecord(value, 1)
    if (parsed?.kind === 'decision') seen[parsed.isBroken ? 'broken' : 'whole']++
    else seen.none++
    const expected = parseDecisionHead(value.toString())
    expect(parsed?.kind ?? 'none', `turn ${turn}: ${value}`).toBe(
      expected.kind === 'record' ? expected.record.kind : expected.kind,
    )
  }
  expect(Math.min(seen.whole, seen.broken, seen.none)).toBeGreaterThan(100)
})
