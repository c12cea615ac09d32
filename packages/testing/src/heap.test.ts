import { expect, test } from 'vitest'
import { TimeHeap } from './heap.ts'
import { Random } from './random.ts'

test('entries leave by time, those of equal time in the order they came', () => {
  const random = new Random(4)
  const heap = new TimeHeap<number>()
  const pushed = Array.from({ length: 2_000 }, (_, seq) => ({ atMs: random.int(0, 50), seq }))
  for (const { atMs, seq } of pushed) heap.push(atMs, seq)
  const taken: number[] = []
  for (let next = heap.takeDue(50); next !== undefined; next = heap.takeDue(50)) {
    taken.push(next.value)
  }
  expect(taken).toEqual(
    pushed.toSorted((a, b) => a.atMs - b.atMs || a.seq - b.seq).map(({ seq }) => seq),
  )
})

test('nothing leaves before it is due', () => {
  const heap = new TimeHeap<string>()
  heap.push(10, 'late')
  expect(heap.takeDue(9)).toBeUndefined()
  expect(heap.takeDue(10)).toMatchObject({ atMs: 10, value: 'late' })
  expect(heap.takeDue(10)).toBeUndefined()
})
