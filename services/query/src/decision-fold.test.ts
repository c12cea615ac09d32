import { MemoryBus } from '@winnow/bus'
import { ManualClock, silentLog } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { clockSlackMs } from './config.ts'
import { DecisionFold } from './decision-fold.ts'

const topic = 'd'
const claim = [{ value: Buffer.from('{"v":1,"kind":"claim","by":"t"}') }]

async function started() {
  const clock = new ManualClock()
  clock.advanceMs(1_000_000)
  const bus = new MemoryBus([{ name: topic, partitions: 2, retentionMs: 1e9, keyed: false }], clock)
  await bus.append(topic, 0, claim)
  const fold = new DecisionFold({ bus, topic, bytesMax: 1 << 20, clock, log: silentLog })
  await fold.start()
  onTestFinished(() => fold.stop())
  return { clock, bus, fold }
}

const settled = (read: () => number, value: number) =>
  expect.poll(read, { timeout: 5000 }).toBe(value)

test('log time is the greatest stamp read, and at the end of the log the clock less its slack', async () => {
  const { clock, fold } = await started()
  expect(fold.logTimeMs).toBe(1_000_000)
  clock.advanceMs(clockSlackMs)
  await settled(() => fold.logTimeMs, 1_000_000)
  clock.advanceMs(1)
  await settled(() => fold.logTimeMs, 1_000_001)
})

test('a partition that cannot be read to its end keeps the clock out of log time', async () => {
  const { clock, bus, fold } = await started()
  const read = bus.read.bind(bus)
  await bus.append(topic, 1, claim)
  const backlog = (await read(topic, 1, 0, 1, 0)).records
  // The same record again and again: a reader that never comes to the end.
  bus.read = async (...args) => {
    if (args[1] === 0) return read(...args)
    await new Promise(resolve => setTimeout(resolve, 5))
    return { records: backlog }
  }
  await new Promise(resolve => setTimeout(resolve, 600))
  clock.advanceMs(3_600_000)
  await new Promise(resolve => setTimeout(resolve, 600))
  expect(fold.logTimeMs).toBe(1_000_000)
})

test('bytes that are no record count for nobody, and what follows goes on', async () => {
  const { bus, fold } = await started()
  const append = (text: string) => bus.append(topic, 0, [{ value: Buffer.from(text) }])
  await append('{')
  await append('null')
  await append(decision('a', 0, 1))
  await append('{"v":1,"kind":"decision"}')
  await append(decision('b', 0, 2))
  await settled(() => [...fold.entries('t')].length, 2)
})

test('without state the claim in force is the greatest one named before the first claim record', async () => {
  const bus = new MemoryBus(
    [{ name: topic, partitions: 1, retentionMs: 1e9, keyed: false }],
    new ManualClock(),
  )
  // A former owner's record lies before the first that names the claim in force.
  for (const text of [decision('old', 7, 3), decision('new', 9, 1), decision('old', 7, 4)]) {
    await bus.append(topic, 0, [{ value: Buffer.from(text) }])
  }
  const fold = new DecisionFold({
    bus,
    topic,
    bytesMax: 1 << 20,
    clock: new ManualClock(),
    log: silentLog,
  })
  await fold.start()
  onTestFinished(() => fold.stop())
  expect([...fold.entries('t')].map(({ traceId }) => traceId)).toEqual([idOf('new')])
})

test('a record of a newer format ends the start, and names the record', async () => {
  const bus = new MemoryBus(
    [{ name: topic, partitions: 1, retentionMs: 1e9, keyed: false }],
    new ManualClock(),
  )
  await bus.append(topic, 0, [{ value: Buffer.from('{"v":2,"kind":"claim"}') }])
  const fold = new DecisionFold({
    bus,
    topic,
    bytesMax: 1 << 20,
    clock: new ManualClock(),
    log: silentLog,
  })
  await expect(fold.start()).rejects.toThrow(/DATA_CORRUPT.*d\/0@0 has format v 2/)
})

/** A trace id that is told apart by a word. */
const idOf = (word: string): string => Buffer.from(word).toString('hex').padStart(32, '0')

function decision(word: string, claimAt: number, seq: number): string {
  return JSON.stringify({
    v: 1,
    kind: 'decision',
    tenant: 't',
    traceId: idOf(word),
    revision: 1,
    claim: claimAt,
    seq,
    rules: [],
    write: [],
    prev: null,
    slices: [],
  })
}
