import { factListMax } from '@winnow/model'
import { expect, test } from 'vitest'
import { FactList } from './fact-list.ts'

test('a full list gives the place of its last text that does not matter to one that does', () => {
  const list = new FactList()
  const add = (text: string, matters: boolean) => {
    const hasRoom = list.hasRoom(matters)
    if (hasRoom) list.add(text, matters)
    return hasRoom
  }
  for (let at = 0; at < factListMax; at++) expect(add(`${at}`, at > 1)).toBe(true)
  expect(list).toMatchObject({ count: factListMax, isTruncated: false, first: '0' })
  expect(add('no', false)).toBe(false)
  expect(list.isTruncated).toBe(true)
  expect([add('a', true), add('b', true), add('c', true)]).toEqual([true, true, false])
  expect(list.joined().split(',').slice(0, 3)).toEqual(['b', 'a', '2'])
  expect(list.has('b') && !list.has('0')).toBe(true)
})

test('a cleared list has nothing of what was in it', () => {
  const list = new FactList()
  for (let at = 0; at <= factListMax; at++) if (list.hasRoom(true)) list.add(`${at}`, true)
  list.clear()
  expect(list).toMatchObject({ count: 0, isTruncated: false })
  expect(list.has('0')).toBe(false)
  list.add('x', false)
  list.add('y', false)
  expect(list.joined()).toBe('x,y')
})
