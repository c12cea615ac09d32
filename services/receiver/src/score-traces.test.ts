import { expect, test } from 'vitest'
import { ScoreTraces, tracesOfScoreMax } from './score-traces.ts'

test('one tenant’s many ids make it forget none of another’s', () => {
  const traces = new ScoreTraces(4)
  traces.add('quiet', 'a', 't1')
  for (let n = 0; n < 10; n++) traces.add('loud', `${n}`, 't2')
  expect(traces.get('quiet', 'a')).toEqual(['t1'])
  expect([6, 7, 8, 9].map(n => traces.get('loud', `${n}`).length)).toEqual([0, 1, 1, 1])
  expect(traces.get('loud', 'a'), 'ids are a tenant’s own').toEqual([])
})

test('what was used last is forgotten last, and one said again is no further one', () => {
  const traces = new ScoreTraces(2)
  for (const id of ['a', 'b', 'b']) traces.add('t', id, '1')
  traces.get('t', 'a')
  traces.add('t', 'c', '1')
  expect(['a', 'b', 'c'].map(id => traces.get('t', id))).toEqual([['1'], [], ['1']])
})

test('tracesOfScoreMax traces of one id are remembered, of one more the oldest is not', () => {
  const traces = new ScoreTraces()
  const all = Array.from({ length: tracesOfScoreMax + 1 }, (_, n) => `${n}`)
  for (const one of all.slice(0, -1)) traces.add('t', 'a', one)
  expect(traces.get('t', 'a')).toEqual(all.slice(0, -1))
  traces.add('t', 'a', all.at(-1) as string)
  expect(traces.get('t', 'a')).toEqual(all.slice(1))
})
