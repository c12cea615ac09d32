import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SliceHeadReader, SliceHeadWriter } from './slice-bytes.ts'
import { sharedTextLengthMax, sharedTextsMax, TextTable } from './text-table.ts'
import { type Chain, ChainMemory, chunkBytes, TracePool } from './trace-pool.ts'

const emptyChain = (): Chain => ({ head: -1, tail: -1, byteCount: 0 })

test('chains hold what was appended to each, whoever let go of what in between', () => {
  const step = fc.record({
    chain: fc.nat(5),
    bytes: fc.uint8Array({ maxLength: 5 * chunkBytes }),
    isRelease: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const pool = new TracePool()
      const chains = Array.from({ length: 6 }, emptyChain)
      const expected: number[][] = chains.map(() => [])
      for (const { chain, bytes, isRelease } of steps) {
        const one = chains[chain] as Chain
        if (isRelease) {
          pool.release(one)
          expected[chain] = []
        } else {
          pool.append(one, bytes, bytes.length)
          expected[chain]?.push(...bytes)
        }
      }
      for (const [at, chain] of chains.entries()) {
        const { words, bytes } = new ChainMemory().reserve(chain.byteCount)
        pool.copy(chain, words)
        expect([...bytes.subarray(0, chain.byteCount)]).toEqual(expected[at])
      }
    }),
    { numRuns: 200 },
  )
})

test('what is let go is used again, and once nothing is held no memory is', () => {
  const pool = new TracePool()
  const bytes = new Uint8Array(1000)
  let most = 0
  for (let round = 0; round < 20; round++) {
    const chains = Array.from({ length: 1000 }, emptyChain)
    for (const chain of chains) pool.append(chain, bytes, bytes.length)
    if (round > 0) expect(pool.bytes).toBe(most)
    most = pool.bytes
    for (const chain of chains) pool.release(chain)
    expect(pool.bytes).toBe(0)
  }
  expect(most).toBeLessThan(1.35 * 1000 * 1000)
})

test('the head of a slice is read as it was written, offsets of 53 bits too', () => {
  const whole = fc.maxSafeNat()
  fc.assert(
    fc.property(fc.tuple(whole, whole, whole, whole, whole), fc.nat(300), (numbers, factBytes) => {
      const writer = new SliceHeadWriter()
      const [offset, start, length, spanCount, appendedAtMs] = numbers
      const head = writer.write(offset, start, length, spanCount, appendedAtMs, factBytes)
      const bytes = Buffer.concat([writer.bytes.subarray(0, head), Buffer.alloc(factBytes)])
      const heads = new SliceHeadReader().begin(bytes, bytes.length)
      expect(heads.next()).toBe(true)
      expect(heads).toMatchObject({ offset, start, length, spanCount, appendedAtMs })
      expect([heads.factsFrom, heads.factsTo]).toEqual([head, bytes.length])
      expect(heads.next()).toBe(false)
    }),
  )
})

test('a text gets a number while the table has room, then it is written out', () => {
  const table = new TextTable()
  for (let n = 1; n <= sharedTextsMax; n++) expect(table.numberOf(`text ${n}`)).toBe(n)
  expect(table.numberOf('one more')).toBe(0)
  expect(table.numberOf('text 7')).toBe(7)
  expect(table.textOf(7)).toBe('text 7')
  expect(table.textOf(0)).toBe('')
  // A checkpoint's slices are packed already: its texts get a number as long as 16 bits have one.
  expect(table.textOf(table.restore('one more'))).toBe('one more')
  for (let n = 0; n < 0xffff - sharedTextsMax - 1; n++) table.restore(`restored ${n}`)
  expect(() => table.restore('one too many')).toThrow(RangeError)
})

test('a text at the limit of length is given a number, a longer one is not', () => {
  const table = new TextTable()
  expect(table.numberOf('x'.repeat(sharedTextLengthMax))).toBe(1)
  expect(table.numberOf('x'.repeat(sharedTextLengthMax + 1))).toBe(0)
  expect(table.numberOf('')).toBe(0)
})
