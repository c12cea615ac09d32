import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import type { BusRecord } from './bus.ts'
import { frameStrideOf, toBlock, writeFrame } from './file-format.ts'
import { freshMemory } from './read-memory.ts'
import { Ring } from './ring.ts'
import { type SharedTail, TailIndex, tailRunsMax } from './tail-index.ts'
import { TailReader } from './tail-reader.ts'

/** A tail in this thread; `append` makes one record a commit. */
function tailOf(ringBytes: number) {
  const ring = new Ring(Buffer.from(new SharedArrayBuffer(ringBytes)), 0, ringBytes)
  const ends = new Float64Array(2)
  const index = new TailIndex(ends, ends)
  const reader = new TailReader({
    topic: 't',
    partitions: 2,
    isLog: true,
    ...ring.shared,
    index: index.memory,
  })
  const append = (partition: number, value: Buffer): void => {
    const offset = ends[partition] as number
    const bytes = frameStrideOf({ value })
    const place = ring.reserve(toBlock(bytes))
    index.setRingEnd(ring.end)
    writeFrame(ring.memory, ring.indexOf(place), { value }, partition, offset, 7, true, 0)
    ends[partition] = offset + 1
    index.publish([partition, offset, 0, bytes, place], ends)
    index.settled()
  }
  return { reader, index, append }
}

const textsOf = (records: readonly BusRecord[] | undefined): string[] | undefined =>
  records?.map(({ value }) => Buffer.from(value).toString())

test('reads what is in the tail, and says undefined of what is not, or no longer', () => {
  const { reader, append } = tailOf(4 * 512)
  expect(reader.read(0, 0, 100, freshMemory)).toBeUndefined()
  for (const text of ['a', 'b', 'c', 'd']) append(0, Buffer.from(text))
  expect(textsOf(reader.read(0, 0, 100, freshMemory))).toEqual(['a', 'b', 'c'])
  expect(reader.read(1, 0, 100, freshMemory)).toBeUndefined()
  expect(reader.fetch(0, 4)).toBeUndefined()
  append(1, Buffer.from('e'))
  expect(reader.read(0, 0, 100, freshMemory)).toBeUndefined()
  expect(reader.fetch(0, 0)).toBeUndefined()
  expect(textsOf(reader.read(0, 1, 100, freshMemory))).toEqual(['b', 'c', 'd'])
  expect(reader.bounds(0)).toEqual({ first: 0, end: 4 })
})

test('what retention has passed is not read, although the ring still has it', () => {
  const { reader, index, append } = tailOf(4 * 512)
  for (const text of ['a', 'b', 'c']) append(0, Buffer.from(text))
  index.setFirsts(Float64Array.of(2, 0))
  expect(reader.read(0, 1, 100, freshMemory)).toBeUndefined()
  expect(textsOf(reader.read(0, 2, 100, freshMemory))).toEqual(['c'])
  expect(reader.ranges(0, [{ offset: 1, start: 0, length: 1 }])?.missing).toEqual([0])
})

test('tells of as many runs as its limit, and not of one more', () => {
  const { reader, append } = tailOf(2 * tailRunsMax * 512)
  for (let at = 0; at < tailRunsMax; at++) append(0, Buffer.from(`${at}`))
  expect(textsOf(reader.read(0, 0, 1, freshMemory))).toEqual(['0'])
  append(0, Buffer.from('one more'))
  expect(reader.read(0, 0, 1, freshMemory)).toBeUndefined()
  expect(textsOf(reader.read(0, 1, 1, freshMemory))).toEqual(['1'])
})

test('what is written over while it is copied is no record', () => {
  const { reader, append } = tailOf(4 * 512)
  append(0, Buffer.from('old'))
  const take = (bytes: number): Buffer => {
    for (let at = 0; at < 4; at++) append(1, Buffer.from('new'))
    return Buffer.alloc(bytes)
  }
  expect(reader.read(0, 0, 100, take)).toBeUndefined()
})

test('whatever another thread writes meanwhile, a record is whole or not there', async () => {
  const worker = new Worker(new URL('./tail-reader.fixture.ts', import.meta.url))
  onTestFinished(async () => {
    await worker.terminate()
  })
  const [{ tail, stop }] = (await once(worker, 'message')) as [
    { tail: SharedTail; stop: Int32Array },
  ]
  const reader = new TailReader(tail)
  const problems: string[] = []
  const seen = { read: 0, heads: 0, fetched: 0, cut: 0 }
  const check = (offset: number, value: Uint8Array | undefined, length: number): number => {
    if (value === undefined) return 0
    const isWhole = value.length === length && value.every(byte => byte === offset % 251)
    if (!isWhole) problems.push(`${offset}: ${value.length} bytes, ${value[0]} … ${value.at(-1)}`)
    return 1
  }
  let back = 0
  while (Math.min(seen.read, seen.heads, seen.fetched, seen.cut) < 3000) {
    const { end } = reader.bounds(0) ?? { end: 0 }
    // About as far back as the ring goes, so that it comes round in the midst of it.
    const offset = Math.max(0, end - 20 - (back++ % 16))
    reader.read(0, offset, 2000, freshMemory)?.forEach((record, at) => {
      if (record.offset !== offset + at) problems.push(`${record.offset} is out of turn`)
      seen.read += check(offset + at, record.value, 400)
    })
    for (const [at, head] of reader.heads(0, offset).entries()) {
      const isRight = head.offset === offset + at && head.valueBytes === 400
      if (!isRight) problems.push(`${head.offset} has ${head.valueBytes} bytes`)
      seen.heads++
    }
    seen.fetched += check(offset, reader.fetch(0, offset)?.value, 400)
    const cut = reader.ranges(0, [{ offset, start: 100, length: 200 }])
    const [range] = cut?.missing.length === 0 ? cut.reads : []
    if (range instanceof Error) problems.push(range.message)
    else seen.cut += check(offset, range, 200)
  }
  Atomics.store(stop, 0, 1)
  expect(problems).toEqual([])
})
