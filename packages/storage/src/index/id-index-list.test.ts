import { expect, test } from 'vitest'
import {
  idIndexFileOf,
  idIndexOf,
  type ListedIdIndexFile,
  wholeIdIndexes,
} from './id-index-list.ts'
import { idIndexKey } from './index-key.ts'

const date = '2026-11-21'
const name = { partition: 3, date, lastDate: date, logId: 'log-1', first: 100, last: 200 }

const file = (from: string, before: string, first = 100): ListedIdIndexFile => ({
  ...name,
  first,
  ids: { from, before },
  bytes: 10,
})
const whole: ListedIdIndexFile = { ...name, bytes: 25 }

const shown = (files: readonly ListedIdIndexFile[]): string[] =>
  wholeIdIndexes(files).map(
    index =>
      `${index.bytes} ${index.files.map(one => (one.ids ? `${one.ids.from}-${one.ids.before}` : 'all'))}`,
  )

test('files that have every id between them are one index', () => {
  expect(shown([whole])).toEqual(['25 all'])
  expect(shown([file('0', '5f3a'), file('5f3a', '8c'), file('8c', 'g')])).toEqual([
    '30 0-5f3a,5f3a-8c,8c-g',
  ])
  expect(idIndexKey(wholeIdIndexes([file('0', '8'), file('8', 'g')])[0] ?? whole)).toBe(
    idIndexOf(file('8', 'g')),
  )
})

test('an index of which a file is missing is none, whichever it is', () => {
  const files = [file('0', '5f3a'), file('5f3a', '8c'), file('8c', 'g')]
  for (const missing of files) expect(shown(files.filter(one => one !== missing))).toEqual([])
  // Nor do the files of another help.
  expect(shown([file('0', '8'), file('8', 'g', 150)])).toEqual([])
  expect(shown([file('0', '8'), file('8', 'g', 150), file('0', '8', 150)])).toEqual(['20 0-8,8-g'])
})

test('of files that were cut twice as few are taken as have every id', () => {
  const [a, b, c] = [file('0', '4'), file('4', 'a'), file('a', 'g')]
  expect(shown([a, b, c, file('0', '7')])).toEqual(['30 0-7,4-a,a-g'])
  expect(shown([a, b, c, whole])).toEqual(['25 all'])
  expect(shown([file('0', '7'), c])).toEqual([])
})

test('a trace is looked for in the file of its id', () => {
  const [index] = wholeIdIndexes([file('0', '5f3a'), file('5f3a', '8c'), file('8c', 'g')])
  const fromOf = (start: string): string | undefined =>
    index && idIndexFileOf(index, start.padEnd(32, '0')).ids?.from
  expect(['0', '5f39ffff', '5f3a', '5f3b', '8bff', '8c', 'ffff'].map(fromOf)).toEqual([
    '0',
    '0',
    '5f3a',
    '5f3a',
    '5f3a',
    '8c',
    '8c',
  ])
})
