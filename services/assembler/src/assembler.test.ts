import { MemoryBus, partitionOfHex, type TopicSpec } from '@winnow/bus'
import { encodeTenantRuns, type Summary, unpackSlices } from '@winnow/model'
import { encodeTraces, type TracesData, tracesFromJson } from '@winnow/otlp'
import { ManualClock, Metrics, silentLog } from '@winnow/runtime'
import { trace48f, trace48fId, trace48fRequests } from '@winnow/testing'
import { expect, onTestFinished, test } from 'vitest'
import { Assembler } from './assembler.ts'
import { appendBytesMax, assemblerConfigSchema } from './config.ts'
import { sliceReader } from './read-slices.ts'

const topics = { spans: 'spans', evidence: 'evidence' }
const partition = partitionOfHex(trace48fId, 4)

function pipeline(): { bus: MemoryBus; clock: ManualClock; start: () => Promise<Assembler> } {
  const clock = new ManualClock()
  clock.advanceMs(1_000_000)
  const specs: TopicSpec[] = Object.values(topics).map(name => ({
    name,
    partitions: 4,
    retentionMs: 86_400_000,
    keyed: false,
  }))
  const bus = new MemoryBus(specs, clock)
  const start = async (): Promise<Assembler> => {
    const assembler = new Assembler({
      bus,
      topics,
      config: assemblerConfigSchema.parse({}),
      clock,
      log: silentLog,
      metrics: new Metrics(),
      readSlices: sliceReader(),
    })
    onTestFinished(() => assembler.stop())
    await assembler.start()
    return assembler
  }
  return { bus, clock, start }
}

async function send(bus: MemoryBus, data: TracesData, tenant = 'default'): Promise<number> {
  const value = encodeTraces(data)
  const header = encodeTenantRuns([{ tenant, start: 0, length: value.length }])
  return await bus.append(topics.spans, partition, [{ value, header }])
}

/** A root with children, in the partition of the tests whatever its id. */
function wideTrace(seed: number, spans: number): TracesData {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')
  const json = {
    resourceSpans: [
      {
        scopeSpans: [
          {
            spans: Array.from({ length: spans }, (_, i) => ({
              traceId: hex(seed + 1, 32),
              spanId: hex(i + 1, 16),
              ...(i > 0 && { parentSpanId: hex(1, 16) }),
              name: `step ${i}`,
            })),
          },
        ],
      },
    ],
  }
  return tracesFromJson(JSON.stringify(json)).data
}

async function summaries(bus: MemoryBus): Promise<Summary[]> {
  const { records } = await bus.read(topics.evidence, partition, 0, 1 << 24, 0)
  return records.map(({ value }) => unpackSlices(JSON.parse(Buffer.from(value).toString())))
}

const caughtUp = (bus: MemoryBus) =>
  expect
    .poll(
      async () => {
        const { end } = await bus.bounds(topics.spans, partition)
        return end - ((await bus.committed(topics.spans, 'assembler', partition))?.offset ?? 0)
      },
      { timeout: 10_000 },
    )
    .toBe(0)

test('a trace sent whole is one summary whose slice is the bytes as they lie', async () => {
  const { bus, clock, start } = pipeline()
  const assembler = await start()
  await send(bus, trace48f())
  await expect.poll(() => assembler.pending('default', trace48fId)?.spanCount).toBe(8)
  expect(await summaries(bus)).toEqual([])
  clock.advanceMs(7001)
  await expect.poll(() => summaries(bus), { timeout: 5000 }).toHaveLength(1)
  const [summary] = await summaries(bus)
  expect(summary).toMatchObject({
    v: 1,
    kind: 'summary',
    tenant: 'default',
    traceId: trace48fId,
    reason: 'root',
    missingParents: 0,
  })
  const [slice] = summary?.slices ?? []
  expect(slice?.ref).toMatchObject({ partition, offset: 0, start: 0, spanCount: 8 })
  expect(slice?.ref.length).toBe(encodeTraces(trace48f()).length)
  expect(slice?.facts.outcomes).toContainEqual(
    expect.objectContaining({ name: 'citation', extracted: 2, supported: 1, unsupported: 1 }),
  )
  expect(assembler.pending('default', trace48fId)).toBeUndefined()
})

test('a trace in four requests is one summary of four slices', async () => {
  const { bus, clock, start } = pipeline()
  await start()
  for (const request of trace48fRequests()) await send(bus, request)
  clock.advanceMs(8000)
  await expect.poll(() => summaries(bus), { timeout: 5000 }).toHaveLength(1)
  const [summary] = await summaries(bus)
  expect(summary?.slices.map(({ ref }) => ref.offset)).toEqual([0, 1, 2, 3])
})

test('nothing is committed while a trace is open, so that a restart reads it again whole', async () => {
  const { bus, clock, start } = pipeline()
  const first = await start()
  await send(bus, trace48f())
  await expect.poll(() => first.openTraces).toBe(1)
  clock.advanceMs(3000)
  await first.stop()
  expect((await bus.committed(topics.spans, 'assembler', partition))?.offset ?? 0).toBe(0)
  await start()
  clock.advanceMs(7000)
  await expect.poll(() => summaries(bus), { timeout: 5000 }).toHaveLength(1)
  clock.advanceMs(2000)
  await caughtUp(bus)
})

test('many large summaries due at once are several appends, none larger than a bus takes', async () => {
  const { bus, clock, start } = pipeline()
  const appended: number[] = []
  const append = bus.append.bind(bus)
  bus.append = (topic, at, records) => {
    if (topic === topics.evidence) {
      appended.push(records.reduce((sum, { value }) => sum + value.length, 0))
    }
    return append(topic, at, records)
  }
  const traces = 80
  for (let trace = 0; trace < traces; trace++) await send(bus, wideTrace(trace, 1_000))
  await start()
  clock.advanceMs(8000)
  await expect.poll(() => summaries(bus), { timeout: 10_000 }).toHaveLength(traces)
  expect(appended.length).toBeGreaterThan(1)
  expect(Math.max(...appended)).toBeLessThanOrEqual(appendBytesMax)
})

test('a record that cannot be read is passed over, and what lies behind it is not', async () => {
  const { bus, clock, start } = pipeline()
  const header = encodeTenantRuns([{ tenant: 'default', start: 0, length: 3 }])
  await bus.append(topics.spans, partition, [{ value: Buffer.from([0x0a, 0xff, 0xff]), header }])
  await start()
  await send(bus, trace48f())
  clock.advanceMs(8000)
  await expect.poll(() => summaries(bus), { timeout: 5000 }).toHaveLength(1)
})

test('the same trace id of two tenants is two summaries', async () => {
  const { bus, clock, start } = pipeline()
  await start()
  await send(bus, trace48f(), 'acme')
  await send(bus, trace48f(), 'globex')
  clock.advanceMs(8000)
  await expect.poll(() => summaries(bus), { timeout: 5000 }).toHaveLength(2)
  expect((await summaries(bus)).map(summary => summary.tenant).sort()).toEqual(['acme', 'globex'])
})

test('a position is unknown until it is known where to go on, and where a partition is not held', async () => {
  const { bus, start } = pipeline()
  await send(bus, wideTrace(1, 2))
  const { promise, resolve } = Promise.withResolvers<void>()
  const { bounds } = bus
  bus.bounds = async (...args) => {
    await promise
    return bounds.apply(bus, args)
  }
  const assembler = await start()
  expect(assembler.position(partition)).toBeUndefined()
  resolve()
  await expect.poll(() => assembler.position(partition), { timeout: 20_000 }).toBe(1)
  await assembler.stop()
  expect(assembler.position(partition)).toBeUndefined()
})
