import { MemoryBus } from '@winnow/bus'
import { ManualClock, Metrics, PipelineError } from '@winnow/runtime'
import { expect, onTestFinished, test, vi } from 'vitest'
import { BusLag, measureWaitMaxMs } from './bus-lag.ts'

const topics = { spans: 's', evidence: 'e', decisions: 'd' }

function made() {
  const clock = new ManualClock()
  const specs = Object.values(topics).map(name => ({
    name,
    partitions: 2,
    retentionMs: 60_000,
    keyed: false,
  }))
  const bus = new MemoryBus(specs, clock)
  const metrics = new Metrics()
  return {
    clock,
    bus,
    metrics,
    lag: new BusLag(bus, topics, metrics, ['assembler', 'sampler', 'writer'], {
      spans: 7_200_000,
      evidence: 3_600_000,
    }),
  }
}

test('a group is behind by the records it has not committed, and by the time they span', async () => {
  const { clock, bus, metrics, lag } = made()
  await bus.append('s', 0, [{ value: Buffer.from('1') }])
  clock.advanceMs(3000)
  await bus.append('s', 0, [{ value: Buffer.from('2') }])
  await lag.measure()
  const text = await metrics.text()
  expect(text).toContain('winnow_bus_lag_records{group="assembler"} 2')
  expect(text).toContain('winnow_bus_lag_seconds{group="assembler"} 3')
  expect(text).toContain('winnow_bus_lag_records{group="sampler"} 0')
  expect(text).not.toContain('group="receiver"')
})

test('a group’s retention is that of what it has to read: a writer’s bodies lie on spans', async () => {
  const text = await made().metrics.text()
  expect(text).toContain('winnow_bus_retention_seconds{group="assembler"} 7200')
  expect(text).toContain('winnow_bus_retention_seconds{group="sampler"} 3600')
  expect(text).toContain('winnow_bus_retention_seconds{group="writer-hot"} 7200')
})

test('a bus that is silent holds the metrics for measureWaitMax, with one question under way', async () => {
  const { bus, metrics, lag } = made()
  let asked = 0
  bus.partitionCount = () => {
    asked++
    return new Promise(() => {})
  }
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  let answered = 0
  const all = [1, 2, 3].map(async () => {
    await lag.measure()
    answered++
  })
  await vi.advanceTimersByTimeAsync(measureWaitMaxMs - 1)
  expect(answered).toBe(0)
  await vi.advanceTimersByTimeAsync(1)
  await Promise.all(all)
  expect(asked).toBe(1)
  expect(await metrics.text()).toContain('winnow_bus_lag_records')
})

test('a bus that does not answer, or has let a record go, leaves the last figure', async () => {
  const { bus, metrics, lag } = made()
  await bus.append('s', 0, [{ value: Buffer.from('1') }])
  await lag.measure()
  for (const code of ['BUS_UNAVAILABLE', 'OFFSET_GONE'] as const) {
    bus.bounds = async () => {
      throw new PipelineError(code, 'not now')
    }
    await lag.measure()
    expect(await metrics.text()).toContain('winnow_bus_lag_records{group="assembler"} 1')
  }
})
