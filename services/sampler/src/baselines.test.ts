import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import { type BaselineKey, Baselines } from './baselines.ts'
import { baselinesBytesMax, decodeBaselines, encodeBaselines } from './baselines-record.ts'

const hour = 3_600_000
const key: BaselineKey = { tenant: 't', service: 's', operation: 'o' }
const options = { windowMs: hour, countMin: 500, keysMax: 2_000 }

test('a constant duration keeps nothing, whatever it is', () => {
  for (const constant of [0, 0.001, 1, 9.95, 200, 1e9]) {
    const baselines = new Baselines(options)
    for (let i = 0; i < 2_000; i++) baselines.add(0, key, constant, i)
    const { threshold = 0 } = baselines.bar(key, 0.99)
    expect(constant > threshold, `${constant} ms`).toBe(false)
  }
})

test('the bar lies between the exact 98.5th and 99.5th percentile, however old it is', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = new Random(seed * 2654435761)
    const baselines = new Baselines(options)
    const values: number[] = []
    for (let i = 0; i < 6_000; i++) {
      const value = Math.exp(
        5 +
          1.5 * Math.sqrt(-2 * Math.log(1 - random.unit())) * Math.cos(2 * Math.PI * random.unit()),
      )
      if (i >= 500) {
        const { threshold = 0 } = baselines.bar(key, 0.99)
        if (i % 97 === 0) {
          const sorted = values.toSorted((a, b) => a - b)
          const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] as number
          expect(threshold, `seed ${seed}, ${i}`).toBeGreaterThanOrEqual(at(0.985))
          expect(threshold, `seed ${seed}, ${i}`).toBeLessThanOrEqual(at(0.995) * 1.0101)
        }
      }
      values.push(value)
      baselines.add(0, key, value, i)
    }
  }
})

test('below the least count there is no bar, at it there is', () => {
  const baselines = new Baselines(options)
  for (let i = 0; i < 499; i++) baselines.add(0, key, 5, 0)
  expect(baselines.bar(key, 0.99)).toEqual({ count: 499, key: 's o' })
  baselines.add(0, key, 5, 0)
  expect(baselines.bar(key, 0.99)).toMatchObject({ count: 500, threshold: expect.any(Number) })
})

test('a variant has its own bar once it is warm, until then that of its operation', () => {
  const baselines = new Baselines({ ...options, countMin: 10 })
  const b = { ...key, variant: 'B' }
  for (let i = 0; i < 100; i++) baselines.add(0, key, 5, 0)
  for (let i = 0; i < 9; i++) baselines.add(0, b, 1_000, 0)
  expect(baselines.bar(b, 0.99)).toMatchObject({ count: 109, key: 's o' })
  baselines.add(0, b, 1_000, 0)
  expect(baselines.bar(b, 0.99)).toMatchObject({ count: 10, key: 's o B' })
  expect(baselines.bar(b, 0.99).threshold).toBeGreaterThan(999)
  expect(baselines.bar({ ...key, tenant: 'other' }, 0.99)).toEqual({ count: 0, key: 's o' })
})

test('a key past the limit shares the coarser one, and a place is free once a key is silent', () => {
  const baselines = new Baselines({ ...options, countMin: 1, keysMax: 2 })
  const variant = (name: string) => ({ ...key, variant: name })
  for (const name of ['A', 'B', 'C']) baselines.add(0, variant(name), 5, 0)
  expect(baselines.bar(variant('B'), 0.99).key).toBe('s o B')
  expect(baselines.bar(variant('C'), 0.99)).toMatchObject({ key: 's o', count: 3 })
  baselines.add(0, variant('C'), 5, 2 * hour)
  expect(baselines.bar(variant('C'), 0.99)).toMatchObject({ key: 's o C', count: 1 })
})

test('durations leave with their pane', () => {
  const baselines = new Baselines({ ...options, countMin: 1 })
  const pane = hour / 6
  for (let at = 0; at < 6; at++) baselines.add(0, key, 5, at * pane)
  expect(baselines.bar(key, 0.99).count).toBe(6)
  baselines.add(0, key, 5, 6 * pane)
  expect(baselines.bar(key, 0.99).count).toBe(6)
  baselines.add(0, key, 5, 0)
  expect(baselines.bar(key, 0.99).count, 'older than the window').toBe(6)
})

test('a partition takes its share along and leaves the others theirs', () => {
  const from = new Baselines({ ...options, countMin: 1 })
  for (let i = 0; i < 10; i++) from.add(3, { ...key, variant: 'B' }, 100 + i, i * 100_000)
  for (let i = 0; i < 5; i++) from.add(4, key, 7, i)
  const to = new Baselines({ ...options, countMin: 1 })
  to.add(0, key, 1, 900_000)
  to.follow(3, decodeBaselines(encodeBaselines(3, from.share(3))) ?? [])
  expect(to.bar(key, 0.99).count).toBe(11)
  expect(to.bar({ ...key, variant: 'B' }, 0.99).count).toBe(10)
  to.follow(3, from.share(3))
  expect(to.bar(key, 0.99).count, 'loading again replaces').toBe(11)
  to.follow(3, [])
  expect(to.bar({ ...key, variant: 'B' }, 0.99).key).toBe('s o')
  expect(to.bar(key, 0.99).count).toBe(1)
})

test('a record stays below its limit by leaving out the rarest keys', () => {
  const baselines = new Baselines({ ...options, keysMax: 20_000 })
  for (let i = 0; i < 12_000; i++) {
    const name = `${i}`.padStart(400, 'x')
    baselines.add(0, { ...key, operation: name }, 5, 0)
    if (i === 11_999) baselines.add(0, { ...key, operation: name }, 5, 0)
  }
  const record = encodeBaselines(0, baselines.share(0))
  expect(record.length).toBeLessThanOrEqual(baselinesBytesMax)
  const read = decodeBaselines(record) ?? []
  expect(read.length).toBeGreaterThan(5_000)
  expect(read.length).toBeLessThan(12_000)
  expect(read[0]?.operation).toContain('11999')
})

test('a record that cannot be read is no record, one of a newer format is refused by name', () => {
  for (const text of ['{', '{}', 'null', '{"v":1}', '{"v":1,"keys":[{"panes":[[1,0.5,1]]}]}']) {
    expect(decodeBaselines(Buffer.from(text)), text).toBeUndefined()
  }
  expect(() => decodeBaselines(Buffer.from('{"v":2,"keys":[]}'))).toThrow(/format 2/)
})
