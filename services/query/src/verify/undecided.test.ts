import type { MemoryBus } from '@winnow/bus'
import { packSlice } from '@winnow/model'
import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import { sampledOfRecords } from './record-books.ts'
import { type Lying, outlineOf, PipelineTopics, type Sent, topics } from './topics.fixture.ts'

/** Offsets of `spans` as they are read a second time: the first time only their heads are looked at. */
function readAgain(bus: MemoryBus): number[] {
  const offsets: number[] = []
  const read = bus.read.bind(bus)
  const heads = bus.heads.bind(bus)
  let end = 0
  bus.heads = (...args) => {
    const found = heads(...args)
    end = Math.max(end, (found.at(-1)?.offset ?? -1) + 1)
    return found
  }
  bus.read = async (...args) => {
    const batch = await read(...args)
    if (args[0] !== topics.spans) return batch
    for (const { offset } of batch.records) if (offset < end) offsets.push(offset)
    end = Math.max(end, (batch.records.at(-1)?.offset ?? -1) + 1)
    return batch
  }
  return offsets
}

test('a record that decisions name byte by byte is not read again, and one with a byte that none names is', async () => {
  const pipe = new PipelineTopics()
  const again = readAgain(pipe.bus)
  const reader = pipe.reader(9)
  const [a, b] = await pipe.receive(
    { trace: 1, spans: [1] },
    { tenant: 'other', trace: 2, spans: [2] },
  )
  const [c, d] = await pipe.receive({ trace: 3, spans: [3] }, { trace: 4, spans: [4] })
  if (!a || !b || !c || !d) throw new Error('four slices')
  await pipe.decide([b])
  await pipe.decide([a])
  await pipe.decide([c])
  expect(await reader.report()).toMatchObject({ received: 4, dropped: 3, pending: 1 })
  expect(again).toEqual([1])
  await pipe.decide([d])
  expect(await reader.report()).toMatchObject({ received: 4, dropped: 4, balanced: true })
  expect(again).toEqual([1])
})

test('of the records that decisions account for one in so many is read', async () => {
  const pipe = new PipelineTopics()
  const again = readAgain(pipe.bus)
  for (let trace = 1; trace <= 2 * sampledOfRecords; trace++) {
    await pipe.decide(await pipe.receive({ trace, spans: [trace] }))
  }
  const all = { dropped: 2 * sampledOfRecords, balanced: true }
  expect(await pipe.reader(5).report()).toMatchObject(all)
  expect(again).toEqual([5, 5 + sampledOfRecords])
})

test('a byte named twice is no proof of one that nobody names', async () => {
  const pipe = new PipelineTopics()
  const [a, b, c] = await pipe.receive(
    { trace: 1, spans: [1] },
    { trace: 2, spans: [2] },
    { trace: 3, spans: [3] },
  )
  if (!a || !b || !c) throw new Error('three slices')
  // As many bytes as the record has, but those of b are named by nobody.
  const { ref } = a.slice
  const { appendedAtMs, facts } = b.slice
  const within = packSlice({ ref: { ...ref, start: ref.start + 1 }, appendedAtMs, facts })
  await pipe.decide([a])
  await pipe.decide([c])
  await pipe.decide([{ ...b, slice: within }])
  const report = await pipe.verify()
  expect(report).toMatchObject({ pending: 1, balanced: false, problems: 1 })
  expect(report.offending[0]).toMatchObject({ problem: 'foreign', traceId: b.traceId })
})

test('the bytes of another tenant are seen to be so without reading them', async () => {
  const pipe = new PipelineTopics()
  const [a] = await pipe.receive({ trace: 1, spans: [1] })
  if (!a) throw new Error('one slice')
  await pipe.decide([{ ...a, tenant: 'other' }])
  const report = await pipe.verify()
  expect(report).toMatchObject({ pending: 1, balanced: false, problems: 1 })
  expect(report.offending[0]).toMatchObject({ problem: 'foreign', tenant: 'other' })
})

test.for([1, 2, 3, 4, 5, 6])(
  'whoever keeps up, reading what is undecided, and whoever reads all find the same (seed %i)',
  async seed => {
    const random = new Random(seed)
    const pipe = new PipelineTopics()
    // Behind the tail a bus has no heads at hand.
    if (seed % 2 === 0) pipe.bus.heads = () => []
    const reader = pipe.reader(seed)
    const traces = new Map<string, { lying: Lying[]; decided: number; revision: number }>()
    for (let step = 0; step < 60; step++) {
      const sent: Sent[] = Array.from({ length: random.int(1, 5) }, () => ({
        tenant: random.chance(0.7) ? 'default' : 'other',
        trace: random.int(1, 40),
        spans: Array.from({ length: random.int(1, 4) }, () => random.int(1, 30)),
      }))
      const distinct = sent.filter(
        (one, at) => sent.findIndex(other => nameOf(other) === nameOf(one)) === at,
      )
      // What one tenant sent lies in one run.
      distinct.sort((a, b) => (a.tenant ?? '').localeCompare(b.tenant ?? ''))
      for (const one of await pipe.receive(...distinct)) {
        const key = `${one.tenant} ${one.traceId}`
        const trace = traces.get(key) ?? { lying: [], decided: 0, revision: 0 }
        traces.set(key, trace)
        trace.lying.push(one)
      }
      for (const trace of traces.values()) {
        if (trace.decided === trace.lying.length || random.chance(0.7)) continue
        // Now and then a decision forgets a slice: what is wrong has to be found by both.
        const isWrong = random.chance(0.03)
        trace.decided = trace.lying.length - (isWrong ? 1 : 0)
        const named = trace.lying.slice(0, trace.decided)
        if (named.length === 0) continue
        await pipe.summarise(...trace.lying)
        await pipe.decide(named, {
          revision: ++trace.revision,
          verdict: random.chance(0.5) ? 'keep' : 'drop',
        })
      }
      if (random.chance(0.1)) await pipe.settle()
      if (random.chance(0.3)) {
        expect(outlineOf(await reader.report()), `step ${step}`).toEqual(
          outlineOf(await pipe.verify()),
        )
      }
    }
    await pipe.settle()
    expect(outlineOf(await reader.report())).toEqual(outlineOf(await pipe.verify()))
  },
)

const nameOf = ({ tenant, trace }: Sent): string => `${tenant} ${trace}`
