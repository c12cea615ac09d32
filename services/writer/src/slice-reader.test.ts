import { setImmediate } from 'node:timers/promises'
import { type Bus, type RangeRead, rangesMax, type ValueRange } from '@winnow/bus'
import type { SpanRef } from '@winnow/model'
import { encodeTraces } from '@winnow/otlp'
import { ManualClock, PipelineError, type PipelineErrorCode } from '@winnow/runtime'
import { MemoryTraceBuffer, type TraceBuffer } from '@winnow/storage'
import { expect, test } from 'vitest'
import { fetchesMax, rangesBytesMax } from './config.ts'
import { decodeSlice, SliceReader, type SliceSpans } from './slice-reader.ts'
import { sliceAt, spanOf, traceIdOf, tracesOf } from './writer.fixture.ts'

const slice = encodeTraces(tracesOf([spanOf(traceIdOf(1), 0)]))

/** Records of two equal slices each; an answer may be held back, or fail. */
class RangesBus {
  readonly asked: string[] = []
  failure: PipelineErrorCode | undefined
  isRefused = false
  held: PromiseWithResolvers<void> | undefined

  readonly bus = {
    logId: async () => 'log',
    fetchRanges: async (
      topic: string,
      partition: number,
      ranges: readonly ValueRange[],
    ): Promise<RangeRead[]> => {
      const places = ranges.map(({ offset, start }) => `${offset}:${start / slice.length}`)
      this.asked.push(`${topic}/${partition} ${places.join(' ')}`)
      await this.held?.promise
      const error = this.failure && new PipelineError(this.failure, 'no')
      if (error !== undefined && this.isRefused) throw error
      const value = Buffer.concat([slice, slice])
      return ranges.map(({ start, length }) => error ?? value.subarray(start, start + length))
    },
  } as unknown as Bus

  reader(buffer?: TraceBuffer): SliceReader {
    return new SliceReader(this.bus, 'spans', buffer)
  }
}

const refAt = (offset: number, at = 0, partition = 0) =>
  sliceAt({ partition, offset, start: at * slice.length, length: slice.length }).ref

const readAll = async (reader: SliceReader, refs: readonly SpanRef[]): Promise<SliceSpans[]> => {
  const traceIds = refs.map(() => traceIdOf(1))
  return (await reader.read(refs, traceIds)).map(decodeSlice)
}

test('one question a partition, neighbours of a record side by side, answers in the order asked', async () => {
  const source = new RangesBus()
  const refs = [refAt(4, 1), refAt(3), refAt(7, 0, 2), refAt(4), refAt(3, 1)]
  const read = await readAll(source.reader(), refs)
  expect(source.asked).toEqual(['spans/0 3:0 3:1 4:0 4:1', 'spans/2 7:0'])
  expect(read.map(({ kind }) => kind)).toEqual(refs.map(() => 'read'))
  expect(read.map(({ ref }) => ref)).toEqual(refs)
  const [first] = read
  if (first?.kind !== 'read') return expect.fail('it is there')
  const [span] = first.data.resourceSpans[0]?.scopeSpans[0]?.spans ?? []
  const values = Object.fromEntries(span?.attributes.map(({ key, value }) => [key, value]) ?? [])
  expect(values['session.id']).toEqual({ stringValue: 'sess_91ab' })
  // What no row holds is not made a string.
  expect(values['user.message']).toEqual({})
  expect(await readAll(source.reader(), [])).toEqual([])
  expect(source.asked.length).toBe(2)
})

test('a question has as many ranges and bytes as are allowed, never one more', async () => {
  const source = new RangesBus()
  const ranges = async (refs: readonly SpanRef[]): Promise<number[]> => {
    source.asked.length = 0
    await readAll(source.reader(), refs)
    return source.asked.map(asked => asked.split(' ').length - 1)
  }
  const many = (count: number): SpanRef[] => Array.from({ length: count }, (_, n) => refAt(n))
  expect(await ranges(many(rangesMax))).toEqual([rangesMax])
  expect(await ranges(many(rangesMax + 1))).toEqual([rangesMax, 1])
  const large = (length: number): SpanRef => ({ ...refAt(1), length })
  expect(await ranges([large(rangesBytesMax - 5), large(5), large(1)])).toEqual([2, 1])
  // One alone may be larger.
  expect(await ranges([large(rangesBytesMax + 1), large(1)])).toEqual([1, 1])
})

test('as many questions as are allowed are in flight, never one more', async () => {
  const source = new RangesBus()
  source.held = Promise.withResolvers()
  const refs = Array.from({ length: fetchesMax + 1 }, (_, partition) => refAt(1, 0, partition))
  const reading = readAll(source.reader(), refs)
  await setImmediate()
  expect(source.asked.length).toBe(fetchesMax)
  source.held.resolve()
  expect((await reading).length).toBe(fetchesMax + 1)
  expect(source.asked.length).toBe(fetchesMax + 1)
})

test('what may pass is the caller’s to repeat', async () => {
  const source = new RangesBus()
  const reader = source.reader()
  source.failure = 'BUS_UNAVAILABLE'
  source.isRefused = true
  await expect(readAll(reader, [refAt(1), refAt(1, 1)])).rejects.toThrow(/BUS_UNAVAILABLE/)
  source.failure = undefined
  expect((await readAll(reader, [refAt(1)]))[0]?.kind).toBe('read')
})

test('a record that retention has passed is gone', async () => {
  const source = new RangesBus()
  source.failure = 'OFFSET_GONE'
  expect(await readAll(source.reader(), [refAt(1), refAt(1, 1)])).toEqual([
    { kind: 'gone', ref: refAt(1) },
    { kind: 'gone', ref: refAt(1, 1) },
  ])
})

test('what can never be read is an answer with its reason: another log’s, damaged, no OTLP', async () => {
  const source = new RangesBus()
  for (const code of ['OFFSET_AHEAD', 'DATA_CORRUPT', 'CONFIG_INVALID'] as const) {
    source.failure = code
    for (source.isRefused of [false, true]) {
      expect((await readAll(source.reader(), [refAt(1)]))[0]).toMatchObject({
        kind: 'unreadable',
        error: { code },
      })
    }
  }
  source.failure = undefined
  source.asked.length = 0
  const nowhere = [
    { start: -1, length: 2 },
    { start: 0, length: -1 },
    { start: Number.NaN, length: 1 },
    { start: 0.5, length: 1 },
  ]
  const read = await readAll(
    source.reader(),
    nowhere.map(ref => ({ ...sliceAt({}).ref, ...ref })),
  )
  for (const one of read) {
    expect(one).toMatchObject({ kind: 'unreadable', error: { code: 'DATA_CORRUPT' } })
  }
  expect(source.asked).toEqual([])
  const cut = { ...refAt(1), length: slice.length - 3 }
  expect((await readAll(source.reader(), [cut]))[0]).toMatchObject({
    kind: 'unreadable',
    error: { code: 'PAYLOAD_INVALID' },
  })
})

test('a bug is no answer', async () => {
  const bus = { fetchRanges: () => Promise.reject(new TypeError('a bug')) } as unknown as Bus
  await expect(readAll(new SliceReader(bus, 'spans'), [refAt(1)])).rejects.toThrow('a bug')
})

const bufferWith = async (
  values: readonly (readonly [offset: number, value: Uint8Array])[],
  logId = 'log',
): Promise<TraceBuffer> => {
  const buffer = new MemoryTraceBuffer({
    clock: new ManualClock(),
    lifeMs: 60_000,
    bytesMax: 1 << 24,
  })
  await buffer.putRecords(
    logId,
    0,
    values.map(([offset, value]) => ({ offset, value })),
  )
  return buffer
}

test('the bus is asked for what the buffer does not have, and for nothing else', async () => {
  const source = new RangesBus()
  const buffer = await bufferWith([[3, Buffer.concat([slice, slice])]])
  const refs = [refAt(4), refAt(3, 1), refAt(3), refAt(5)]
  const read = await readAll(source.reader(buffer), refs)
  expect(read.map(({ kind, ref }) => [kind, ref])).toEqual(refs.map(ref => ['read', ref]))
  expect(source.asked).toEqual(['spans/0 4:0 5:0'])
  source.failure = 'BUS_UNAVAILABLE'
  expect((await readAll(source.reader(buffer), [refAt(3)]))[0]?.kind).toBe('read')
})

test('what the buffer has and is not the slice is left: another log’s, damaged, other spans', async () => {
  const two = tracesOf([spanOf(traceIdOf(1), 0), spanOf(traceIdOf(1), 1)])
  const stranger = encodeTraces(tracesOf([spanOf(traceIdOf(2), 0)]))
  const damaged = Buffer.from(slice).fill(0xff, 5, 30)
  const wrong: readonly Uint8Array[] = [damaged, stranger, encodeTraces(two)]
  for (const value of wrong) {
    const source = new RangesBus()
    const ref = { ...refAt(3), length: value.length }
    const [read] = await readAll(source.reader(await bufferWith([[3, value]])), [ref])
    expect(source.asked).toEqual(['spans/0 3:0'])
    // The bus had no more of it than this, and its answer is the one that stands.
    expect(read?.kind === 'read' && Buffer.from(read.bytes).equals(slice)).toBe(
      value.length <= slice.length,
    )
  }
  const source = new RangesBus()
  await readAll(source.reader(await bufferWith([[3, slice]], 'another log')), [refAt(3)])
  expect(source.asked).toEqual(['spans/0 3:0'])
})
