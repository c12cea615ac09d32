import { type Batch, type Lease, MemoryBus } from '@winnow/bus'
import { encodeTenantRuns } from '@winnow/model'
import { encodeTraces } from '@winnow/otlp'
import { ManualClock, Metrics, PipelineError, silentLog } from '@winnow/runtime'
import { trace48f } from '@winnow/testing'
import { expect, test } from 'vitest'
import { assemblerConfigSchema } from './config.ts'
import { PartitionLoop } from './partition-loop.ts'
import { sliceReader } from './read-slices.ts'
import { TurnPace } from './turn-pace.ts'

const topics = { spans: 'spans', evidence: 'evidence' }
const maxStallMs = 600_000

/** A loop that sleeps for `sleptMs` between a read and the append of what it closes. */
async function runAsleep(
  sleptMs: number,
  onCommit: (lost: AbortController) => void,
): Promise<{ calls: string[]; failed: unknown }> {
  const clock = new ManualClock()
  clock.advanceMs(1_000_000)
  const spec = { partitions: 1, retentionMs: 86_400_000, keyed: false }
  const bus = new MemoryBus(
    Object.values(topics).map(name => ({ ...spec, name })),
    clock,
  )
  const value = encodeTraces(trace48f())
  const header = encodeTenantRuns([{ tenant: 'default', start: 0, length: value.length }])
  await bus.append(topics.spans, 0, [{ value, header }])
  const calls: string[] = []
  const append = bus.append.bind(bus)
  const lost = new AbortController()
  let isStopping = false
  bus.append = (...args) => {
    calls.push('append')
    isStopping = true
    return append(...args)
  }
  const read = sliceReader()
  const lease: Lease = {
    partition: 0,
    committed: undefined,
    lost: lost.signal,
    read: async (bytesMax): Promise<Batch> => bus.read(topics.spans, 0, 0, bytesMax, 0),
    commit: async ({ offset }) => {
      calls.push(`commit ${offset}`)
      onCommit(lost)
    },
  }
  const loop = new PartitionLoop(
    {
      bus,
      topics,
      group: 'assembler',
      config: { ...assemblerConfigSchema.parse({ maxSpans: 8 }), maxStall: maxStallMs },
      clock,
      log: silentLog,
      metrics: new Metrics(),
      readSlices: (bytes, runs) => {
        clock.advanceMs(sleptMs)
        return read(bytes, runs)
      },
      buffer: undefined,
      pace: new TurnPace(clock),
      get isStopping() {
        return isStopping
      },
    },
    lease,
  )
  const failed = await loop.run().then(
    () => undefined,
    (error: unknown) => error,
  )
  return { calls, failed }
}

test('who was silent for maxStall appends, a millisecond longer and it asks first', async () => {
  const inTime = await runAsleep(maxStallMs, () => {})
  expect(inTime.calls).toEqual(['append', 'commit 1'])
  const late = await runAsleep(maxStallMs + 1, () => {})
  expect(late.calls).toEqual(['commit 0', 'append', 'commit 1'])
})

test('who slept too long and lost its partition meanwhile leaves without an append', async () => {
  const { calls, failed } = await runAsleep(maxStallMs + 1, lost => {
    lost.abort()
    throw new PipelineError('STALE_OWNER', 'somebody else owns it')
  })
  expect(calls).toEqual(['commit 0'])
  expect(failed).toBeUndefined()
})

test('who is refused although its lease was not lost ends its process', async () => {
  const { calls, failed } = await runAsleep(maxStallMs + 1, () => {
    throw new PipelineError('STALE_OWNER', 'somebody else owns it')
  })
  expect(calls).toEqual(['commit 0'])
  expect(failed).toMatchObject({ code: 'STALE_OWNER' })
})
