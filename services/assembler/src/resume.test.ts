import { type Bus, MemoryBus, type NewRecord } from '@winnow/bus'
import { encodeTenantRuns, type Summary, unpackSlices } from '@winnow/model'
import { encodeTraces, tracesFromJson } from '@winnow/otlp'
import { ManualClock, Metrics, silentLog } from '@winnow/runtime'
import { type Checkpoint, MemoryTraceBuffer } from '@winnow/storage'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Assembler } from './assembler.ts'
import { assemblerConfigSchema } from './config.ts'
import { sliceReader } from './read-slices.ts'

const topics = { spans: 'spans', evidence: 'evidence' }

/** One partition, a buffer, and assemblers that come and go. */
class Bench {
  readonly clock = new ManualClock()
  readonly bus: MemoryBus
  readonly buffer: MemoryTraceBuffer
  readonly metrics = new Metrics()
  /** Records whose slices were read, by any assembler. */
  reads = 0
  /** Called before a record's slices are read. */
  onRead: () => void = () => {}

  constructor() {
    this.clock.advanceMs(1_000_000_000)
    const spec = { partitions: 1, retentionMs: 86_400_000, keyed: false }
    const specs = Object.values(topics).map(name => ({ ...spec, name }))
    this.bus = new MemoryBus(specs, this.clock, () => 'log')
    this.buffer = new MemoryTraceBuffer({ clock: this.clock, lifeMs: 3_600_000, bytesMax: 1 << 26 })
  }

  async start(
    buffer: MemoryTraceBuffer | undefined = this.buffer,
    closeTimes: readonly object[] = [],
  ): Promise<Assembler> {
    const config = assemblerConfigSchema.parse({ closeTimes })
    const read = sliceReader(undefined, config.closeTimes)
    const assembler = new Assembler({
      bus: this.bus,
      topics,
      config,
      clock: this.clock,
      log: silentLog,
      metrics: this.metrics,
      readSlices: (value, header) => {
        this.onRead()
        this.reads++
        return read(value, header)
      },
      ...(buffer && { buffer }),
    })
    onTestFinished(() => assembler.stop())
    await assembler.start()
    return assembler
  }

  /** A span of a trace, appended now. `parent` 0: its root. */
  async send(trace: number, id: number, parent: number, name = 'step'): Promise<void> {
    await this.bus.append(topics.spans, 0, [spanRecord(trace, id, parent, name)])
  }

  async summaries(): Promise<Summary[]> {
    const { records } = await this.bus.read(topics.evidence, 0, 0, 1 << 24, 0)
    return records.map(({ value }) => unpackSlices(JSON.parse(Buffer.from(value).toString())))
  }

  /** Offsets of the slices of every summary; what is due at once closes in any order. */
  async offsets(): Promise<number[][]> {
    const offsets = (await this.summaries()).map(({ slices }) =>
      slices.map(({ ref }) => ref.offset),
    )
    return offsets.sort(([a = 0], [b = 0]) => a - b)
  }

  async committed(): Promise<number> {
    return (await this.bus.committed(topics.spans, 'assembler', 0))?.offset ?? 0
  }

  async checkpoints(result: string): Promise<number> {
    const { values } = await this.metrics.checkpoints.get()
    return values.find(({ labels }) => labels.result === result)?.value ?? 0
  }
}

function spanRecord(trace: number, spanId: number, parent: number, name = 'step'): NewRecord {
  const hex = (id: number, digits: number): string => id.toString(16).padStart(digits, '0')
  const parentSpanId = parent === 0 ? undefined : hex(parent, 16)
  const span = { traceId: hex(trace, 32), spanId: hex(spanId, 16), parentSpanId, name }
  const json = { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }
  const value = encodeTraces(tracesFromJson(JSON.stringify(json)).data)
  return {
    value,
    header: encodeTenantRuns([{ tenant: 'default', start: 0, length: value.length }]),
  }
}

const open = (assembler: Assembler, count: number) =>
  expect.poll(() => assembler.openTraces, { timeout: 5000 }).toBe(count)

test('a new owner resumes from the last checkpoint and reads nothing before it again', async () => {
  const bench = new Bench()
  const first = await bench.start()
  await bench.send(1, 1, 0)
  await bench.send(2, 1, 0)
  await open(first, 2)
  await first.stop()
  expect(await bench.committed()).toBe(0)
  await bench.send(1, 2, 1)
  const second = await bench.start()
  await open(second, 2)
  expect(bench.reads).toBe(3)
  bench.clock.advanceMs(8000)
  await expect.poll(() => bench.offsets()).toEqual([[0, 2], [1]])
  expect((await bench.summaries()).map(({ reason }) => reason)).toEqual(['root', 'root'])
  await second.stop()
  expect(await bench.committed()).toBe(3)
  expect(await bench.checkpoints('used')).toBe(1)
})

test('an open trace keeps its line of closeTimes where the list has another order since', async () => {
  const bench = new Bench()
  const long = { root: 'nightly', quiet: '60s' }
  const short = { root: 'probe', quiet: '1s' }
  const first = await bench.start(bench.buffer, [short, long])
  await bench.send(1, 1, 0, 'nightly')
  await open(first, 1)
  await first.stop()
  const second = await bench.start(bench.buffer, [long, short])
  await bench.send(2, 1, 0)
  await open(second, 2)
  bench.clock.advanceMs(8000)
  await expect.poll(() => bench.offsets()).toEqual([[1]])
  expect(second.openTraces).toBe(1)
  bench.clock.advanceMs(60_000)
  await expect.poll(() => bench.offsets()).toEqual([[0], [1]])
  expect(bench.reads).toBe(2)
})

test('an owner that resumed ahead of its place reads every batch into the same memory', async () => {
  const bench = new Bench()
  const first = await bench.start()
  await bench.send(1, 1, 0)
  await open(first, 1)
  await first.stop()
  const read = vi.spyOn<Bus, 'read'>(bench.bus, 'read')
  const second = await bench.start()
  await bench.send(2, 1, 0)
  await open(second, 2)
  const memories = read.mock.calls.filter(([topic]) => topic === topics.spans).map(call => call[5])
  expect(memories.length).toBeGreaterThan(0)
  expect(new Set(memories).size).toBe(1)
  expect(memories[0]?.(100)).toBeInstanceOf(Buffer)
  expect(memories[0]?.(100)).toBe(memories[0]?.(100))
})

test('a checkpoint is written every so often, and one that changes nothing is not', async () => {
  const bench = new Bench()
  const assembler = await bench.start()
  await bench.send(1, 2, 1)
  await open(assembler, 1)
  bench.clock.advanceMs(5000)
  await expect.poll(() => bench.checkpoints('written')).toBe(1)
  bench.clock.advanceMs(10_000)
  await bench.send(2, 1, 0)
  await expect.poll(() => bench.checkpoints('written')).toBe(2)
  expect((await bench.buffer.readCheckpoint('log', 0))?.offset).toBe(2)
})

test('what closed after the checkpoint is closed once more, and its summary is the same', async () => {
  const bench = new Bench()
  const zombie = await bench.start()
  await bench.send(1, 1, 0)
  await open(zombie, 1)
  bench.clock.advanceMs(5000)
  await expect.poll(() => bench.checkpoints('written')).toBe(1)
  const early = (await bench.buffer.readCheckpoint('log', 0)) as Checkpoint
  bench.clock.advanceMs(3000)
  await expect.poll(() => bench.offsets()).toEqual([[0]])
  await zombie.stop()
  expect(await bench.committed()).toBe(1)
  await bench.buffer.putCheckpoint('log', 0, early) // as a former owner's, landing late
  await bench.send(2, 1, 0)
  const next = await bench.start()
  await expect.poll(() => bench.offsets()).toEqual([[0], [0]])
  await open(next, 1)
  const [once, twice] = await bench.summaries()
  expect(twice?.slices).toEqual(once?.slices)
  await next.stop()
  expect(await bench.committed()).toBe(1)
})

const spoiled: Readonly<Record<string, (found: Checkpoint, bench: Bench) => Promise<void>>> = {
  corrupt: (found, { buffer }) => {
    found.bytes[40] = (found.bytes[40] as number) ^ 1
    return buffer.putCheckpoint('log', 0, found)
  },
  newer: (found, { buffer }) => {
    found.bytes[4] = 2
    return buffer.putCheckpoint('log', 0, found)
  },
  // The log lost its end, and other records got the offsets: only their bytes tell.
  foreign: async (_found, { bus }) => {
    const fetch = bus.fetch.bind(bus)
    bus.fetch = async (...args) => ({ ...(await fetch(...args)), value: Buffer.from('another') })
  },
  behind: async (found, { bus, buffer }) => {
    await bus.append(topics.spans, 0, [spanRecord(3, 1, 0)])
    bus.expire(topics.spans, 0, 2)
    await buffer.putCheckpoint('log', 0, found)
  },
}

test.each(Object.keys(spoiled))(
  'a checkpoint that is %s is counted, and the log is read instead',
  async how => {
    const bench = new Bench()
    const first = await bench.start()
    await bench.send(1, 1, 0)
    await bench.send(1, 2, 1)
    await open(first, 1)
    await first.stop()
    const found = (await bench.buffer.readCheckpoint('log', 0)) as Checkpoint
    await spoiled[how]?.(found, bench)
    const second = await bench.start()
    await open(second, 1)
    expect(await bench.checkpoints(how)).toBe(1)
    bench.clock.advanceMs(8000)
    const expected = how === 'behind' ? [[2]] : [[0, 1]]
    await expect.poll(() => bench.offsets()).toEqual(expected)
  },
)

test('a checkpoint beyond the end of the log is ahead of it', async () => {
  const bench = new Bench()
  const first = await bench.start()
  await bench.send(1, 1, 0)
  await open(first, 1)
  await first.stop()
  const late = new Bench()
  await late.buffer.putCheckpoint(
    'log',
    0,
    (await bench.buffer.readCheckpoint('log', 0)) as Checkpoint,
  )
  const second = await late.start()
  await late.send(1, 1, 0)
  await open(second, 1)
  expect(await late.checkpoints('ahead')).toBe(1)
})

test('a buffer that was flushed or is gone costs a replay and nothing else', async () => {
  const bench = new Bench()
  const first = await bench.start()
  await bench.send(1, 1, 0)
  await open(first, 1)
  await first.stop()
  await bench.buffer.close()
  const second = await bench.start()
  await bench.send(1, 2, 1)
  await expect.poll(() => bench.reads).toBe(3)
  bench.clock.advanceMs(8000)
  await expect.poll(() => bench.offsets()).toEqual([[0, 1]])
  await second.stop()
  expect(await bench.committed()).toBe(2)
})

test('the buffer has the bytes of every record that was read', async () => {
  const bench = new Bench()
  const assembler = await bench.start()
  await bench.send(1, 1, 0)
  await bench.send(1, 2, 1)
  await expect.poll(() => assembler.pending('default', '1'.padStart(32, '0'))?.slices).toBe(2)
  const { records } = await bench.bus.read(topics.spans, 0, 0, 1 << 20, 0)
  const ranges = records.map(({ offset, value }) => ({
    partition: 0,
    offset,
    start: 0,
    length: value.length,
  }))
  const read = await bench.buffer.readRanges('log', ranges)
  expect(read).toEqual(records.map(({ value }) => value))
})

test.each([true, false])('a stop and a start make no fragment (buffer: %s)', async isBuffered => {
  const bench = new Bench()
  const buffer = isBuffered ? bench.buffer : undefined
  const first = await bench.start(buffer)
  for (let trace = 1; trace <= 20; trace++) await bench.send(trace, 2, 1)
  await open(first, 20)
  await first.stop()
  // Half an hour of stop and of log: by the wall clock every trace is long due.
  for (let trace = 1; trace <= 20; trace++) await bench.send(trace, 1, 0)
  bench.clock.advanceMs(4_000)
  for (let trace = 1; trace <= 20; trace++) await bench.send(trace, 3, 1)
  bench.clock.advanceMs(30 * 60_000)
  await bench.start(buffer)
  await expect.poll(() => bench.offsets(), { timeout: 5000 }).toHaveLength(20)
  for (const [trace, offsets] of (await bench.offsets()).entries()) {
    expect(offsets).toEqual([trace, trace + 20, trace + 40])
  }
})

test('a backlog of 30 minutes closes traces by its own time alone', async () => {
  const bench = new Bench()
  const traces = 360
  for (let trace = 1; trace <= traces; trace++) {
    await bench.send(trace, 1, 0)
    bench.clock.advanceMs(4900)
    await bench.send(trace, 2, 1)
    bench.clock.advanceMs(100)
  }
  bench.clock.advanceMs(3_600_000)
  await bench.start()
  await expect.poll(() => bench.offsets(), { timeout: 5000 }).toHaveLength(traces)
  for (const [trace, offsets] of (await bench.offsets()).entries()) {
    expect(offsets).toEqual([2 * trace, 2 * trace + 1])
  }
})

test('what retention removed unread is counted, and the rest is read', async () => {
  const bench = new Bench()
  const first = await bench.start()
  await bench.send(1, 1, 0)
  bench.clock.advanceMs(8000)
  await expect.poll(() => bench.offsets()).toEqual([[0]])
  await first.stop()
  for (let trace = 2; trace <= 5; trace++) await bench.send(trace, 1, 0)
  bench.bus.expire(topics.spans, 0, 4)
  await bench.start()
  bench.clock.advanceMs(8000)
  await expect.poll(() => bench.offsets()).toEqual([[0], [4]])
  expect((await bench.metrics.lostToRetention.get()).values[0]?.value).toBe(3)
})
