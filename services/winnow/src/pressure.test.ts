import { MemoryBus } from '@winnow/bus'
import { ManualClock, Metrics } from '@winnow/runtime'
import { expect, test } from 'vitest'
import {
  decisionLagMs,
  decisionLagRings,
  fractionOf,
  type LagLimit,
  Pressure,
  writerLagMs,
} from './pressure.ts'

const topics = { spans: 's', evidence: 'e', decisions: 'd' }
const ringBytes = 1_000

type Places = (number | undefined)[]

function made() {
  const clock = new ManualClock()
  const specs = Object.values(topics).map(name => ({
    name,
    partitions: 2,
    retentionMs: 3_600_000,
    keyed: false,
  }))
  const bus = new MemoryBus(specs, clock)
  const done: { bytes: number; assembled: Places; decided: Places } = {
    bytes: 0,
    assembled: [0, 0],
    decided: [0, 0],
  }
  const metrics = new Metrics()
  const pressure = new Pressure({
    bus,
    topics,
    metrics,
    ringBytes,
    nowMs: () => clock.nowMs(),
    appendedBytes: () => done.bytes,
    assembled: partition => done.assembled[partition],
    decided: partition => done.decided[partition],
  })
  const append = (topic: keyof typeof topics, partition = 0) =>
    bus.append(topics[topic], partition, [{ value: Buffer.from('1') }])
  const value = async (): Promise<number> => {
    await pressure.measure()
    return pressure.value
  }
  return { clock, bus, done, metrics, append, value }
}

test('a half at the first limit, less just before it; 1 at the last and past it', () => {
  const limit: LagLimit = { from: 100, max: 300 }
  const at = [0, 50, 99, 100, 200, 299, 300, 301].map(lag => fractionOf(lag, limit))
  expect(at).toEqual([0, 0.25, 0.495, 0.5, 0.75, 0.9975, 1, 1])
})

test.each(['spans', 'evidence'] as const)(
  'what waits in one partition of %s presses from the first limit of time, and refuses at the last',
  async topic => {
    const { clock, done, append, value } = made()
    expect(await value()).toBe(0)
    await append(topic, 1)
    clock.advanceMs(decisionLagMs.from - 1)
    expect(await value()).toBeLessThan(0.5)
    clock.advanceMs(1)
    expect(await value()).toBe(0.5)
    clock.advanceMs(decisionLagMs.max - decisionLagMs.from - 1)
    expect(await value()).toBeLessThan(1)
    clock.advanceMs(1)
    expect(await value()).toBe(1)
    done[topic === 'spans' ? 'assembled' : 'decided'][1] = 1
    expect(await value()).toBe(0)
  },
)

test.each(['spans', 'evidence'] as const)(
  'however long the reader of %s takes a partition up, nobody is refused for it',
  async topic => {
    const { clock, done, append, value } = made()
    const places = topic === 'spans' ? done.assembled : done.decided
    places[1] = undefined
    await append(topic, 1)
    expect(await value()).toBe(0)
    clock.advanceMs(20 * decisionLagMs.max)
    done.bytes = 2 * ringBytes
    expect(await value()).toBe(0)
    // From here on what it has before it is lag as any other.
    places[1] = 0
    expect(await value()).toBe(0)
    clock.advanceMs(decisionLagMs.from)
    expect(await value()).toBe(0.5)
    places[1] = 1
    expect(await value()).toBe(0)
  },
)

test('the assembler’s lag and the sampler’s add up: a decision waits for one after the other', async () => {
  const { clock, append, value } = made()
  await value()
  await append('spans')
  await append('evidence')
  clock.advanceMs(decisionLagMs.from / 2)
  expect(await value()).toBe(0.5)
})

test('bytes that wait press at a part of the ring, and refuse where they would leave it', async () => {
  const { done, append, value } = made()
  await value()
  await append('spans')
  done.bytes = decisionLagRings.from * ringBytes - 1
  expect(await value()).toBeLessThan(0.5)
  done.bytes++
  expect(await value()).toBe(0.5)
  done.bytes = decisionLagRings.max * ringBytes - 1
  expect(await value()).toBeLessThan(1)
  done.bytes++
  expect(await value()).toBe(1)
  done.assembled[0] = 1
  expect(await value()).toBe(0)
})

test('a writer that has not committed presses from its own first limit, and says so apart', async () => {
  const { clock, metrics, append, value } = made()
  await value()
  await append('decisions')
  clock.advanceMs(writerLagMs.from - 1)
  expect(await value()).toBeLessThan(0.5)
  clock.advanceMs(1)
  expect(await value()).toBe(0.5)
  const text = await metrics.text()
  expect(text).toContain('winnow_admission_pressure{by="writer"} 0.5')
  expect(text).toContain('winnow_admission_pressure{by="decision"} 0')
  clock.advanceMs(writerLagMs.max - writerLagMs.from)
  expect(await value()).toBe(1)
})
