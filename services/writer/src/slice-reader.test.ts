import { setImmediate } from 'node:timers/promises'
import type { Bus, BusRecord } from '@winnow/bus'
import { encodeTraces } from '@winnow/otlp'
import { PipelineError, type PipelineErrorCode } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { fetchesMax } from './config.ts'
import { SliceReader } from './slice-reader.ts'
import { sliceAt, spanOf, traceIdOf, tracesOf } from './writer.fixture.ts'

const slice = encodeTraces(tracesOf([spanOf(traceIdOf(1), 0)]))

/** Records of two equal slices each; `fetch` may be held back, or fail. */
class FetchBus {
  readonly asked: string[] = []
  failure: PipelineErrorCode | undefined
  held: PromiseWithResolvers<void> | undefined

  readonly bus = {
    fetch: async (topic: string, partition: number, offset: number): Promise<BusRecord> => {
      this.asked.push(`${topic}/${partition}/${offset}`)
      await this.held?.promise
      if (this.failure !== undefined) throw new PipelineError(this.failure, 'no')
      return { offset, appendedAtMs: 0, value: Buffer.concat([slice, slice]) }
    },
  } as unknown as Bus

  reader(cacheBytes = 1 << 20): SliceReader {
    return new SliceReader(this.bus, 'spans', cacheBytes)
  }
}

const refAt = (offset: number, at = 0, partition = 0) =>
  sliceAt({ partition, offset, start: at * slice.length, length: slice.length }).ref

test('a record is fetched once for all slices that lie in it, at once or later', async () => {
  const { bus, asked } = new FetchBus()
  const reader = new SliceReader(bus, 'spans', 1 << 20)
  const read = await reader.read([refAt(3), refAt(3, 1), refAt(4)])
  await reader.read([refAt(4, 1)])
  expect(asked).toEqual(['spans/0/3', 'spans/0/4'])
  expect(read.map(({ kind, ref }) => `${kind} ${ref.offset} ${ref.start}`)).toEqual([
    'read 3 0',
    `read 3 ${slice.length}`,
    'read 4 0',
  ])
  const [first] = read
  if (first?.kind !== 'read') return expect.fail('it is there')
  expect(first.data).toEqual(tracesOf([spanOf(traceIdOf(1), 0)]))
  // A view would keep the whole record in memory for as long as the slice is used.
  expect(first.bytes.buffer.byteLength).toBe(3 * slice.length)
})

test('records stay in memory up to the limit and not beyond', async () => {
  const source = new FetchBus()
  const reader = source.reader(2 * 2 * slice.length)
  for (const offset of [1, 2, 1, 3, 1, 2]) {
    await reader.read([refAt(offset)])
    await setImmediate()
  }
  expect(source.asked.map(name => name.at(-1))).toEqual(['1', '2', '3', '2'])
})

test('as many fetches as are allowed are in flight, never one more', async () => {
  const source = new FetchBus()
  source.held = Promise.withResolvers()
  const reading = source
    .reader()
    .read(Array.from({ length: fetchesMax + 1 }, (_, offset) => refAt(offset)))
  await setImmediate()
  expect(source.asked.length).toBe(fetchesMax)
  source.held.resolve()
  expect((await reading).length).toBe(fetchesMax + 1)
  expect(source.asked.length).toBe(fetchesMax + 1)
})

test('a fetch that failed is asked again, for what may pass is the caller’s to repeat', async () => {
  const source = new FetchBus()
  const reader = source.reader()
  source.failure = 'BUS_UNAVAILABLE'
  await expect(reader.read([refAt(1), refAt(1, 1)])).rejects.toThrow(/BUS_UNAVAILABLE/)
  await setImmediate()
  source.failure = undefined
  expect((await reader.read([refAt(1)]))[0]?.kind).toBe('read')
  expect(source.asked.length).toBe(2)
})

test('a record that retention has passed is gone, and asked for once', async () => {
  const source = new FetchBus()
  const reader = source.reader()
  source.failure = 'OFFSET_GONE'
  expect(await reader.read([refAt(1), refAt(1, 1)])).toEqual([
    { kind: 'gone', ref: refAt(1) },
    { kind: 'gone', ref: refAt(1, 1) },
  ])
  await reader.read([refAt(1)])
  expect(source.asked.length).toBe(1)
})

test('what can never be read is an answer with its reason: another log’s, damaged, no OTLP', async () => {
  const source = new FetchBus()
  for (const code of ['OFFSET_AHEAD', 'DATA_CORRUPT', 'CONFIG_INVALID'] as const) {
    source.failure = code
    expect((await source.reader().read([refAt(1)]))[0]).toMatchObject({
      kind: 'unreadable',
      error: { code },
    })
  }
  source.failure = undefined
  const outside = [
    { start: slice.length + 1, length: slice.length },
    { start: -1, length: 2 },
    { start: 0, length: -1 },
    { start: Number.NaN, length: 1 },
    { start: 0.5, length: 1 },
  ]
  const read = await source.reader().read(outside.map(ref => sliceAt(ref).ref))
  for (const one of read) {
    expect(one).toMatchObject({ kind: 'unreadable', error: { code: 'DATA_CORRUPT' } })
  }
  const cut = { ...refAt(1), length: slice.length - 3 }
  expect((await source.reader().read([cut]))[0]).toMatchObject({
    kind: 'unreadable',
    error: { code: 'PAYLOAD_INVALID' },
  })
})

test('a bug is no answer', async () => {
  const bus = { fetch: () => Promise.reject(new TypeError('a bug')) } as unknown as Bus
  const reader = new SliceReader(bus, 'spans', 1 << 20)
  await expect(reader.read([refAt(1)])).rejects.toThrow('a bug')
})
