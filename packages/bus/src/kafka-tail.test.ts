import { expect, test } from 'vitest'
import type { DecodedBatch } from './kafka-batch-cache.ts'
import { KafkaTail } from './kafka-tail.ts'
import { TailReader } from './tail-reader.ts'

/** One record for each text, from `first` on. */
function batchOf(first: number, texts: readonly string[], checksum = first): DecodedBatch {
  const records = texts.map((text, at) => ({
    offset: first + at,
    appendedAtMs: 7,
    header: Buffer.from(`h${first + at}`),
    value: Buffer.from(text),
  }))
  return { first, last: first + texts.length - 1, checksum, bytes: 0, records }
}

function tailOf(bytes = 16 * 512) {
  const tail = new KafkaTail('t', 2, bytes)
  const reader = new TailReader(tail.shared)
  const textsOf = (partition: number, offsets: readonly number[]): (string | undefined)[] =>
    offsets.map(offset => {
      const asked = [{ offset, start: 0, length: 1 }]
      const [text] = reader.ranges(partition, asked)?.reads ?? []
      return text instanceof Uint8Array && text.length > 0 ? `${Buffer.from(text)}` : undefined
    })
  const headsOf = (partition: number, from: number): number[] =>
    reader.heads(partition, from).map(({ offset }) => offset)
  return { tail, textsOf, headsOf, reader }
}

test('records of batches that follow one another are found, with head and value', () => {
  const { tail, textsOf, headsOf, reader } = tailOf()
  tail.add(0, batchOf(4, ['a', 'b']))
  tail.add(0, batchOf(6, ['c']))
  expect(textsOf(0, [3, 4, 5, 6, 7])).toEqual([undefined, 'a', 'b', 'c', undefined])
  expect(textsOf(1, [4])).toEqual([undefined])
  expect(headsOf(0, 5)).toEqual([5, 6])
  const [head] = reader.heads(0, 6)
  expect(head).toEqual({ offset: 6, appendedAtMs: 7, valueBytes: 1, header: expect.anything() })
  expect(`${Buffer.from(head?.header ?? [])}`).toBe('h6')
})

test('after a gap only what lies behind it is told, so that no head is passed over', () => {
  const { tail, textsOf, headsOf } = tailOf()
  tail.add(0, batchOf(4, ['a', 'b']))
  tail.add(0, batchOf(9, ['c']))
  expect(headsOf(0, 4)).toEqual([])
  expect(headsOf(0, 6)).toEqual([])
  expect(headsOf(0, 9)).toEqual([9])
  expect(textsOf(0, [4, 9])).toEqual([undefined, 'c'])
})

test('a reader that comes later changes nothing', () => {
  const { tail, textsOf } = tailOf()
  tail.add(0, batchOf(4, ['a', 'b']))
  tail.add(0, batchOf(6, ['c']))
  tail.add(0, batchOf(0, ['x', 'y', 'z', 'z']))
  tail.add(0, batchOf(4, ['a', 'b']))
  expect(textsOf(0, [0, 4, 5, 6])).toEqual([undefined, 'a', 'b', 'c'])
})

test('a log that was cut and written anew is told again beyond its old end only', () => {
  const { tail, textsOf } = tailOf()
  tail.add(0, batchOf(4, ['a', 'b']))
  tail.add(0, batchOf(6, ['c', 'd']))
  tail.add(0, batchOf(6, ['e'], 99))
  expect(textsOf(0, [4, 6])).toEqual([undefined, undefined])
  tail.add(0, batchOf(7, ['f']))
  expect(textsOf(0, [6, 7])).toEqual([undefined, undefined])
  tail.add(0, batchOf(8, ['g']))
  expect(textsOf(0, [7, 8])).toEqual([undefined, 'g'])
})

test('the same where its batches begin at other offsets than before', () => {
  const { tail, textsOf } = tailOf()
  tail.add(0, batchOf(4, ['a', 'b']))
  tail.add(0, batchOf(5, ['c', 'd', 'e']))
  expect(textsOf(0, [4, 5, 6])).toEqual([undefined, undefined, undefined])
})

test('what the ring has come round to is not found, and a batch larger than it ends what was', () => {
  const { tail, textsOf } = tailOf(4 * 512)
  for (let first = 0; first < 5; first++) tail.add(0, batchOf(first, [`${first}`]))
  expect(textsOf(0, [0, 1, 2, 3, 4])).toEqual([undefined, '1', '2', '3', '4'])
  tail.add(0, batchOf(5, ['x'.repeat(4 * 512 - 40)]))
  expect(textsOf(0, [4, 5])).toEqual([undefined, 'x'])
  tail.add(0, batchOf(6, ['x'.repeat(4 * 512)]))
  expect(textsOf(0, [5, 6])).toEqual([undefined, undefined])
  tail.add(0, batchOf(7, ['y']))
  expect(textsOf(0, [7])).toEqual(['y'])
})

test('a batch without records leaves a hole and no gap', () => {
  const { tail, headsOf } = tailOf()
  tail.add(0, batchOf(0, ['a']))
  tail.add(0, { first: 1, last: 1, checksum: 5, bytes: 0, records: [] })
  tail.add(0, batchOf(2, ['b']))
  expect(headsOf(0, 0)).toEqual([0, 2])
})
