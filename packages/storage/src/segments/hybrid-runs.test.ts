import { Random } from '@winnow/testing'
import { readRleBitPackedHybrid } from 'hyparquet/src/encoding.js'
import { expect, test } from 'vitest'
import { hybridBytes } from './hybrid-runs.ts'

function read(bytes: Uint8Array, bits: number, count: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = new Array<number>(count)
  readRleBitPackedHybrid({ view, offset: 0 }, bits, values, bytes.length)
  return Array.from(values)
}

test('runs and packed groups in any mixture are read back as they were', () => {
  const seed = 7
  const random = new Random(seed)
  for (let round = 0; round < 500; round++) {
    const bits = random.int(1, 20)
    const values: number[] = []
    for (let part = random.int(0, 6); part > 0; part--) {
      const value = random.int(0, 2 ** bits - 1)
      const isRun = random.chance(0.5)
      for (let n = random.int(1, 40); n > 0; n--) {
        values.push(isRun ? value : random.int(0, 2 ** bits - 1))
      }
    }
    const bytes = hybridBytes(Int32Array.from(values), bits)
    expect(read(bytes, bits, values.length), `seed ${seed}, round ${round}`).toEqual(values)
  }
})

test('a long run takes a few bytes, and no width none for values', () => {
  expect(hybridBytes(new Int32Array(100_000).fill(5), 3).length).toBeLessThan(6)
  expect(hybridBytes(new Int32Array(100), 0).length).toBeLessThan(4)
  expect(hybridBytes(new Int32Array(), 4).length).toBe(0)
})
