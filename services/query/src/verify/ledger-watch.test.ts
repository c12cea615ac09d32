import { Metrics, PipelineError, silentLog } from '@winnow/runtime'
import { expect, onTestFinished, test, vi } from 'vitest'
import { decisionItem } from '../decision-item.ts'
import type { LedgerReport } from './ledger-report.ts'
import { LedgerWatch } from './ledger-watch.ts'
import { type Lying, PipelineTopics, topics } from './topics.fixture.ts'

async function watched(options: { readonly everyMs?: number; readonly slicesMax?: number } = {}) {
  const pipe = new PipelineTopics()
  const metrics = new Metrics()
  const watch = new LedgerWatch({
    bus: pipe.bus,
    topics,
    everyMs: options.everyMs ?? 0,
    slicesMax: options.slicesMax ?? 100,
    clock: pipe.clock,
    log: silentLog,
    metrics,
  })
  await watch.start()
  onTestFinished(() => watch.stop())
  const report = async (): Promise<LedgerReport> => {
    const answer = await watch.report('default', 10_000)
    if ('window' in answer) return answer
    throw new Error('not in time')
  }
  const send = async (trace: number, spans: readonly number[]): Promise<Lying> => {
    const [lying] = await pipe.receive({ trace, spans })
    if (lying === undefined) throw new Error('one slice')
    return lying
  }
  return { pipe, metrics, watch, report, send }
}

test('a request sees what came since the one before', async () => {
  const { pipe, report, send } = await watched()
  const a = await send(1, [1, 2])
  expect(await report()).toMatchObject({ received: 2, pending: 2, balanced: true, full: false })
  await pipe.decide([a], { verdict: 'keep' })
  expect(await report()).toMatchObject({ received: 2, kept: 2, pending: 0, balanced: true })
  const b = await send(1, [2, 3])
  await pipe.decide([a, b], { verdict: 'keep', revision: 2 })
  expect(await report()).toMatchObject({ received: 4, kept: 3, duplicate: 1, balanced: true })
})

test('a drop that becomes a keep moves its spans', async () => {
  const { pipe, report, send } = await watched()
  const a = await send(1, [1, 2])
  await pipe.decide([a])
  expect(await report()).toMatchObject({ dropped: 2, kept: 0 })
  await pipe.decide([a], { verdict: 'keep', revision: 2 })
  expect(await report()).toMatchObject({ dropped: 0, kept: 2, balanced: true })
})

test('what retention removes leaves the window, slice by slice', async () => {
  const { pipe, report, send } = await watched()
  const a = await send(1, [1, 2])
  const b = await send(1, [2, 3, 4])
  const c = await send(2, [9])
  await pipe.decide([a, b], { verdict: 'keep' })
  await pipe.decide([c])
  expect(await report()).toMatchObject({ received: 6, kept: 4, duplicate: 1, dropped: 1 })
  pipe.bus.expire(topics.spans, 0, 1)
  expect(await report()).toMatchObject({
    received: 4,
    kept: 2,
    duplicate: 1,
    dropped: 1,
    balanced: true,
  })
  const d = await send(1, [3, 5])
  await pipe.decide([a, b, d], { verdict: 'keep', revision: 2 })
  expect(await report()).toMatchObject({
    received: 6,
    kept: 3,
    duplicate: 2,
    dropped: 1,
    balanced: true,
  })
  pipe.bus.expire(topics.spans, 0, 3)
  expect(await report()).toMatchObject({
    received: 2,
    kept: 1,
    duplicate: 1,
    dropped: 0,
    balanced: true,
  })
  pipe.bus.expire(topics.spans, 0, 4)
  expect(await report()).toMatchObject({ received: 0, kept: 0, duplicate: 0, balanced: true })
})

test('what retention passes undecided is lost, until a late decision names it', async () => {
  const { pipe, report, send } = await watched()
  const a = await send(1, [1, 2])
  expect(await report()).toMatchObject({ pending: 2 })
  pipe.bus.expire(topics.spans, 0, 1)
  expect(await report()).toMatchObject({
    received: 2,
    lostToRetention: 2,
    pending: 0,
    balanced: true,
  })
  await pipe.decide([a], { verdict: 'keep', gone: true })
  expect(await report()).toMatchObject({ received: 0, lostToRetention: 0, kept: 0, balanced: true })
})

test('retention that overtakes the reader is no loss where the assembler had read it', async () => {
  const { pipe, report, send } = await watched()
  const a = await send(1, [1])
  expect(await report()).toMatchObject({ received: 1 })
  await send(2, [2])
  await send(3, [3])
  await pipe.decide([a])
  await pipe.commit('assembler', 3)
  pipe.bus.expire(topics.spans, 0, 3)
  expect(await report()).toMatchObject({ received: 0, lostToRetention: 0, balanced: true })
})

test('over its limit the window is the youngest part, at the limit it is whole', async () => {
  const { pipe, report, send } = await watched({ slicesMax: 2 })
  for (const trace of [1, 2]) await pipe.decide([await send(trace, [trace])])
  const whole = await report()
  expect(whole).toMatchObject({ received: 2, dropped: 2, balanced: true })
  expect(whole).not.toHaveProperty('shortened')
  await pipe.decide([await send(3, [3])])
  expect(await report()).toMatchObject({ received: 2, dropped: 2, balanced: true, shortened: true })
})

test('a backlog of decided slices over the limit is read at once, those looked at all the same too', async () => {
  const { pipe, report, send } = await watched({ slicesMax: 50 })
  for (let trace = 1; trace <= 200; trace++) await pipe.decide([await send(trace, [trace])])
  expect(await report()).toMatchObject({ received: 50, balanced: true, shortened: true })
})

test('more undecided slices than the limit are refused with a remedy, until they are decided', async () => {
  const { pipe, report, send } = await watched({ slicesMax: 2 })
  const lying = [await send(1, [1]), await send(2, [2]), await send(3, [3])]
  await expect(report()).rejects.toThrow(/QUOTA_EXCEEDED.*verifySlicesMax/)
  for (const one of lying) await pipe.decide([one])
  await send(4, [4])
  expect(await report()).toMatchObject({ balanced: true, shortened: true, pending: 1 })
})

test('offered records are taken once, whether they come before or after those that are read', async () => {
  const { pipe, watch, report, send } = await watched({ everyMs: 1e9 })
  const offer = async (): Promise<void> => {
    const { records } = await pipe.bus.read(topics.decisions, 0, 0, 1 << 20, 0)
    for (const { offset, value } of records) watch.offer(0, decisionItem('d/0', offset, value))
  }
  await pipe.decide([await send(1, [1])])
  await offer()
  expect(await report()).toMatchObject({ received: 1, dropped: 1, balanced: true })
  await offer()
  await pipe.decide([await send(2, [2])])
  await offer()
  await pipe.decide([await send(3, [3])])
  expect(await report()).toMatchObject({ received: 3, dropped: 3, balanced: true })
})

test('the metric is what both stages have passed and no decision names ten minutes later', async () => {
  const { pipe, metrics, send } = await watched({ everyMs: 5 })
  const imbalance = async () => (await metrics.ledgerImbalance.get()).values[0]?.value
  await pipe.decide([await send(1, [1])])
  const late = await send(2, [2, 3])
  await pipe.settle()
  await expect.poll(imbalance).toBe(0)
  pipe.clock.advanceMs(600_000)
  await new Promise(resolve => setTimeout(resolve, 30))
  expect(await imbalance(), 'exactly ten minutes').toBe(0)
  pipe.clock.advanceMs(1)
  await expect.poll(imbalance).toBe(2)
  await pipe.decide([late])
  await expect.poll(imbalance).toBe(0)
  await pipe.decide([late], { revision: 2, duplicateSpans: 1 })
  await expect.poll(imbalance).toBe(1)
})

test('what a stage is behind with, for however long, is no imbalance', async () => {
  const { pipe, metrics, send } = await watched({ everyMs: 5 })
  const imbalance = async () => (await metrics.ledgerImbalance.get()).values[0]?.value
  const set = vi.spyOn(metrics.ledgerImbalance, 'set')
  // One look that was under way, and a whole one.
  const looked = async (): Promise<void> => {
    const { length } = set.mock.calls
    await expect.poll(() => set.mock.calls.length).toBeGreaterThan(length + 1)
  }
  const first = await send(1, [1])
  const second = await send(2, [2, 3])
  pipe.clock.advanceMs(86_400_000 / 2)
  await looked()
  expect(await imbalance(), 'no assembler yet').toBe(0)
  await pipe.summarise(first)
  await pipe.commit('assembler', 1)
  await looked()
  expect(await imbalance(), 'no sampler yet').toBe(0)
  await pipe.commit('sampler', 1)
  await expect.poll(imbalance, { message: 'only the first is due' }).toBe(1)
  await pipe.decide([first])
  await expect.poll(imbalance).toBe(0)
  // An assembler that goes on while the sampler does not.
  await pipe.summarise(second)
  await pipe.commit('assembler', 2)
  await looked()
  expect(await imbalance(), 'in evidence, uncommitted').toBe(0)
  await pipe.commit('sampler', 2)
  await expect.poll(imbalance).toBe(2)
})

test('a report from scratch is one for all who ask meanwhile, and says how far it is', async () => {
  const { pipe, watch, send } = await watched()
  await pipe.decide([await send(1, [1])])
  const { bus } = pipe
  const read = bus.read.bind(bus)
  const gate = Promise.withResolvers<void>()
  let reads = 0
  bus.read = async (...args) => {
    if (args[0] === topics.spans) reads++
    await gate.promise
    return read(...args)
  }
  expect(await watch.full('default', 10)).toEqual({ done: 0, of: 0 })
  expect(await watch.full('default', 10)).toEqual({ done: 0, of: 0 })
  gate.resolve()
  expect(await watch.full('default', 10_000)).toMatchObject({ received: 1, full: true })
  expect(await watch.full('default', 10_000), 'shortly after').toMatchObject({ received: 1 })
  expect(reads).toBe(1)
  pipe.clock.advanceMs(5000)
  await pipe.decide([await send(2, [2])])
  expect(await watch.full('default', 10_000)).toMatchObject({ received: 2 })
})

test('a bus that does not answer for a while ends nothing', async () => {
  const { pipe, metrics, send } = await watched({ everyMs: 5 })
  await pipe.decide([await send(1, [1])], { duplicateSpans: 4 })
  const bounds = pipe.bus.bounds.bind(pipe.bus)
  let refusalsLeft = 3
  pipe.bus.bounds = (...args) => {
    if (refusalsLeft-- > 0) throw new PipelineError('BUS_UNAVAILABLE', 'not now')
    return bounds(...args)
  }
  const imbalance = async () => (await metrics.ledgerImbalance.get()).values[0]?.value
  await expect.poll(imbalance, { timeout: 10_000 }).toBe(4)
})
