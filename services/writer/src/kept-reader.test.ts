import type { PackedSlice } from '@winnow/model'
import { afterEach, expect, test } from 'vitest'
import { Abreast } from './abreast.ts'
import { type Chain, noChain } from './chain.ts'
import type { FoldedRecord } from './decisions-reader.ts'
import { KeptReader, type KeptSpans, type Piece, piecesOf, windowsOf } from './kept-reader.ts'
import { SliceReader } from './slice-reader.ts'
import {
  Fixture,
  loggedOn,
  sliceAt,
  spanIdOf,
  spanOf,
  spansTopic,
  traceIdOf,
} from './writer.fixture.ts'

const id = traceIdOf(1)
let fixture: Fixture
afterEach(() => fixture?.stop())

const recordOf = (slices: readonly PackedSlice[], offset = 7): FoldedRecord => ({
  offset,
  appendedAtMs: 0,
  value: new Uint8Array(),
  logged: loggedOn(id, { slices }),
  after: { claim: 0, next: 2 },
})

const pieceOf = (slices: readonly PackedSlice[], offset = 7): Piece => ({
  record: recordOf(slices, offset),
  refs: slices.map(({ ref }) => ref),
  isLast: true,
  spansGone: 0,
  spansAside: 0,
})

function reading(cacheBytes = 1 << 20) {
  fixture = new Fixture()
  let fetches = 0
  const counting = new Proxy(fixture.bus, {
    get: (bus, name) => {
      if (name === 'fetchRanges') fetches++
      const value = Reflect.get(bus, name)
      return typeof value === 'function' ? value.bind(bus) : value
    },
  })
  const slices = new SliceReader(counting, spansTopic)
  const abreast = new Abreast(fixture.clock)
  for (const group of ['hot', 'segments']) abreast.enter(0, group)
  const kept = new KeptReader(slices, abreast.shelf(cacheBytes), fixture.log)
  const one = async (partition: number, piece: Piece): Promise<KeptSpans> =>
    (await kept.read(partition, [piece]))[0] as KeptSpans
  return { kept: { read: one, window: kept.read.bind(kept) }, fetches: () => fetches }
}

test('what one group reads the other is given, once', async () => {
  const { kept, fetches } = reading()
  const piece = pieceOf(await fixture.slices([[spanOf(id, 0), spanOf(id, 1)]]))
  const [hot, segments] = await Promise.all([kept.read(0, piece), kept.read(0, piece)])
  expect(segments).toBe(hot)
  expect(fetches()).toBe(1)
  expect(hot.spans.rows().map(row => row.span_id)).toEqual([spanIdOf(0), spanIdOf(1)])
  expect(hot.bodies.map(({ ref }) => ref)).toEqual(['0:0:0'])
  await kept.read(0, piece)
  expect(fetches()).toBe(2)
})

test('a window is one look at the bus, and what of it is known is not read again', async () => {
  const { kept, fetches } = reading()
  const slices = await fixture.slices([0, 1, 2].map(n => [spanOf(id, n)]))
  const pieces = slices.map((slice, at) => pieceOf([slice], at))
  const none = pieceOf([], 9)
  await kept.window(0, pieces.slice(0, 2))
  const all = await kept.window(0, [...pieces, none])
  expect(fetches()).toBe(2)
  expect(all.map(({ spans }) => spans.rows().map(row => row.span_id))).toEqual([
    [spanIdOf(0)],
    [spanIdOf(1)],
    [spanIdOf(2)],
    [],
  ])
  await kept.window(0, [none])
  expect(fetches()).toBe(2)
})

test('what waits for the other group is limited; past that it is read again', async () => {
  const { kept, fetches } = reading(0)
  const piece = pieceOf(await fixture.slices([[spanOf(id, 0)]]))
  await kept.read(0, piece)
  await kept.read(0, piece)
  expect(fetches()).toBe(2)
})

test('a revision that adds nothing reads nothing', async () => {
  const { kept, fetches } = reading()
  expect(await kept.read(0, pieceOf([]))).toMatchObject({ spans: { count: 0 }, bodies: [] })
  expect(fetches()).toBe(0)
})

test('a slice of another trace is set aside whole: neither its rows nor its text are this trace’s', async () => {
  const { kept } = reading()
  const slices = await fixture.slices([
    [spanOf(id, 0)],
    [spanOf(id, 1), spanOf(traceIdOf(2), 2)],
    Buffer.from('no OTLP'),
    [spanOf(id, 3)],
  ])
  const gone = sliceAt({ offset: 99, spanCount: 5 })
  const read = await kept.read(0, pieceOf([...slices, gone]))
  expect(read.spans.rows().map(row => row.span_id)).toEqual([spanIdOf(0), spanIdOf(3)])
  expect(read.bodies.length).toBe(2)
  expect(read).toMatchObject({ slicesRead: 2, spansGone: 0, spansAside: 2 + 1 + 5 })
  const [line] = fixture.said('writer.slice_set_aside')
  expect(line).toMatchObject({ traceId: id })
  expect(JSON.stringify(fixture.lines)).not.toContain('refund')
})

test('a span that a client sent twice is one row, of the slice that came first', async () => {
  const { kept } = reading()
  const [first] = await fixture.slices([[spanOf(id, 0, { name: 'first' })]])
  const [second] = await fixture.slices([[spanOf(id, 0, { name: 'second' }), spanOf(id, 1)]])
  const read = await kept.read(0, pieceOf([second, first] as PackedSlice[]))
  expect(read.spans.rows().map(row => row.name)).toEqual(['first', 'llm.generate'])
  expect(read.bodies.length).toBe(2)
})

test('expired slices are counted by their spans, the others are read', async () => {
  const { kept } = reading()
  const [old] = await fixture.slices([[spanOf(id, 0), spanOf(id, 1)]])
  const [young] = await fixture.slices([[spanOf(id, 2)]])
  fixture.bus.expire(spansTopic, 0, 1)
  const read = await kept.read(0, pieceOf([old, young] as PackedSlice[]))
  expect(read).toMatchObject({ slicesRead: 1, spansGone: 2, spansAside: 0 })
})

test('a decision over many bytes is read in pieces by (offset, start), at the limit in one', () => {
  const slices = [3, 1, 2].map(offset => sliceAt({ offset, length: 10 }))
  const [record, drop] = [recordOf(slices), { ...recordOf([], 8), logged: undefined }]
  const shape = (bytesMax: number): string[] =>
    [record, drop].flatMap(one =>
      piecesOf(one, noChain, bytesMax).map(
        ({ record: { offset }, refs, isLast }) =>
          `${offset}: ${refs.map(ref => ref.offset).join()}${isLast ? ' last' : ''}`,
      ),
    )
  expect(shape(30)).toEqual(['7: 1,2,3 last', '8:  last'])
  expect(shape(29)).toEqual(['7: 1,2', '7: 3 last', '8:  last'])
  // One slice alone may be larger than all of a piece.
  expect(shape(9)).toEqual(['7: 1', '7: 2', '7: 3 last', '8:  last'])
})

test('the slices of a chain come among a record’s own, each once; what is unknown is told last', () => {
  const chain: Chain = {
    refs: [5, 1, 3].map(offset => sliceAt({ offset, length: 10 }).ref),
    spansGone: 4,
    spansAside: 1,
  }
  const pieces = piecesOf(
    recordOf([4, 3].map(offset => sliceAt({ offset, length: 10 }))),
    chain,
    20,
  )
  expect(pieces.map(({ refs }) => refs.map(ref => ref.offset))).toEqual([
    [1, 3],
    [4, 5],
  ])
  expect(pieces.map(({ spansGone, spansAside }) => [spansGone, spansAside])).toEqual([
    [0, 0],
    [4, 1],
  ])
})

test('a window has as many pieces and bytes as are allowed, or one piece', async () => {
  const records = [10, 10, 0, 10, 40, 5].map((length, at) =>
    recordOf(length === 0 ? [] : [sliceAt({ offset: at, length })], at),
  )
  const shape = async (piecesMax: number, bytesMax: number, of = records): Promise<string> => {
    const windows: string[] = []
    const limits = { piecesMax, bytesMax }
    for await (const window of windowsOf(of, async () => noChain, limits)) {
      windows.push(window.map(({ record }) => record.offset).join())
    }
    return windows.join(' ')
  }
  expect(await shape(100, 30)).toBe('0,1,2,3 4 5')
  expect(await shape(100, 29)).toBe('0,1,2 3 4 5')
  expect(await shape(2, 100)).toBe('0,1 2,3 4,5')
  expect(await shape(1, 100)).toBe('0 1 2 3 4 5')
  expect(await shape(1, 1, [])).toBe('')
})

test('a chain is asked for as its turn comes, and none is looked for behind one that is given up', async () => {
  const keep = (offset: number, writePrev: boolean): FoldedRecord => {
    const slices = [sliceAt({ offset, length: 10 })]
    const logged = loggedOn(id, { slices, ...(writePrev && { writePrev, prev: 0 }) })
    return { ...recordOf([], offset), logged }
  }
  const asked: number[] = []
  const chainOf = async ({ offset }: FoldedRecord): Promise<Chain | undefined> => {
    asked.push(offset)
    return offset === 3 ? undefined : noChain
  }
  const windows: number[][] = []
  const records = [keep(1, false), keep(2, true), keep(3, true), keep(4, true)]
  for await (const window of windowsOf(records, chainOf, { piecesMax: 1, bytesMax: 100 })) {
    windows.push(window.map(({ record }) => record.offset))
    expect(asked.length).toBeLessThanOrEqual(2)
  }
  expect(windows).toEqual([[1]])
  expect(asked).toEqual([2, 3])
})
