import { expect, test } from 'vitest'
import { gapBytesMax, heldBytesMax, joinedBytesMax, RangedReads } from './ranged-reads.ts'

const sizeOf = heldBytesMax + joinedBytesMax + gapBytesMax + 100
const object = Buffer.alloc(sizeOf, 1).map((_, at) => at % 251)

function fixture() {
  const asked: (readonly [number, number])[] = []
  const reads = new RangedReads(async (start, end) => {
    asked.push([start, end])
    if (end > object.length) throw new Error('behind its end')
    return object.subarray(start, end)
  })
  const get = async (start: number, end: number): Promise<void> => {
    expect(Buffer.from(await reads.get(start, end)).equals(object.subarray(start, end))).toBe(true)
  }
  return { asked, get }
}

test('ranges of one turn that lie near each other are one request: gapBytesMax', async () => {
  const near = fixture()
  await Promise.all([near.get(50, 60), near.get(0, 10), near.get(60 + gapBytesMax, 200_000)])
  expect(near.asked).toEqual([[0, 200_000]])
  const far = fixture()
  await Promise.all([far.get(0, 10), far.get(11 + gapBytesMax, 200_000)])
  expect(far.asked).toEqual([
    [0, 10],
    [11 + gapBytesMax, 200_000],
  ])
})

test('what is joined has a length, one byte more is two requests: joinedBytesMax', async () => {
  for (const [more, requests] of [
    [0, 1],
    [1, 2],
  ] as const) {
    const { asked, get } = fixture()
    await Promise.all([
      get(0, joinedBytesMax - 10),
      get(joinedBytesMax - 10, joinedBytesMax + more),
    ])
    expect(asked).toHaveLength(requests)
  }
})

test('what was read is not read again, while it is held: heldBytesMax', async () => {
  for (const [more, requests] of [
    [0, 1],
    [1, 2],
  ] as const) {
    const { asked, get } = fixture()
    await get(0, heldBytesMax + more)
    await get(5, 50)
    expect(asked).toHaveLength(requests)
  }
})

test('overlapping ranges and one within another come whole', async () => {
  const { asked, get } = fixture()
  await Promise.all([get(0, 1_000), get(10, 20), get(500, 1_500)])
  expect(asked).toEqual([[0, 1_500]])
})

test('who asked for what cannot be read hears it, and who asked for another part does not', async () => {
  const { get } = fixture()
  const bad = get(sizeOf - 5, sizeOf + 5)
  await Promise.all([get(0, 10), expect(bad).rejects.toThrow(/behind its end/)])
  await get(sizeOf - 5, sizeOf)
})
