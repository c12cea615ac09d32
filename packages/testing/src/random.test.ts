import { expect, test } from 'vitest'
import { Random } from './random.ts'

test('a seed gives the same stream again, another seed another one', () => {
  const draw = (random: Random) => Array.from({ length: 5 }, () => random.uint32())
  expect(draw(new Random(7))).toEqual(draw(new Random(7)))
  expect(draw(new Random(7))).not.toEqual(draw(new Random(8)))
})

test('streams of one seed give distinct trace ids', () => {
  const ids = new Set<string>()
  for (let index = 0; index < 50_000; index++) ids.add(Random.of(3, index).hex(4))
  expect(ids.size).toBe(50_000)
})

test('unit() is uniform and int() meets both ends', () => {
  const random = new Random(11)
  const counts = new Array<number>(10).fill(0)
  for (let draw = 0; draw < 100_000; draw++) {
    const at = random.int(0, 9)
    counts[at] = (counts[at] ?? 0) + 1
  }
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
})

test('chance() of 0 never, of 1 always', () => {
  const random = new Random(1)
  for (let draw = 0; draw < 1_000; draw++) {
    expect(random.chance(0)).toBe(false)
    expect(random.chance(1)).toBe(true)
  }
})

test('shuffled() keeps every member and moves some', () => {
  const list = Array.from({ length: 50 }, (_, at) => at)
  const shuffled = new Random(5).shuffled(list)
  expect(shuffled).not.toEqual(list)
  expect(shuffled.toSorted((a, b) => a - b)).toEqual(list)
})

test('logNormal() has the median it is asked for', () => {
  const random = new Random(9)
  const drawn = Array.from({ length: 20_001 }, () => random.logNormal(100, 0.5)).toSorted(
    (a, b) => a - b,
  )
  expect(drawn[10_000]).toBeGreaterThan(96)
  expect(drawn[10_000]).toBeLessThan(104)
})
