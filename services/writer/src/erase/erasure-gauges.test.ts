import { expect, onTestFinished, test } from 'vitest'
import { controlTopic, Fixture, until } from '../writer.fixture.ts'
import { newErasure } from './eraser.ts'
import { eraserOf, erasuresOf } from './erasing.fixture.ts'
import { erasureGauges } from './erasure-gauges.ts'
import { type Erasure, erasureRecord } from './erasure-record.ts'
import { controlPartition } from './erasures.ts'

const of = (changes: Partial<Erasure>): Erasure => ({
  ...newErasure({
    tenant: 'default',
    field: 'user.id_hash',
    tokens: [],
    by: undefined,
    dryRun: false,
    nowMs: 1_000,
  }),
  ...changes,
})

test('there is nothing to tell of none, and of those that have ended', () => {
  const nothing = { failing: 0, oldestAskedAtMs: 0, firstDueAtMs: 0 }
  expect(erasureGauges([])).toEqual(nothing)
  const failing = { code: 'STORE_UNAVAILABLE', text: 'away', atMs: 5 } as const
  expect(erasureGauges([of({ state: 'done', failing }), of({ state: 'refused' })])).toEqual(nothing)
})

test('the oldest that is not removed, the first that is due, and those that fail or cannot read', () => {
  const waiting = (...untilMs: number[]) =>
    of({
      state: 'waiting-for-retention',
      waits: untilMs.map(one => ({ where: 'spans', untilMs: one })),
    })
  const all = [
    of({ askedAtMs: 3_000, failing: { code: 'STORE_UNAVAILABLE', text: 'away', atMs: 5 } }),
    of({ askedAtMs: 2_000 }),
    waiting(90_000, 70_000),
    { ...waiting(80_000), aside: [{ key: 'cold/x', step: 'removing' } as const] },
  ]
  // Each is due with the last thing that it waits for.
  expect(erasureGauges(all)).toEqual({ failing: 2, oldestAskedAtMs: 2_000, firstDueAtMs: 80_000 })
})

test('the writer that carries erasures out says one that fails, and nothing once another does', async () => {
  const fixture = new Fixture()
  onTestFinished(() => fixture.stop())
  const { bus, clock, metrics } = fixture
  const erasures = erasuresOf(fixture)
  const away: typeof fixture.hot.erase = async () => {
    throw new TypeError('the hot store cannot erase')
  }
  const hot = new Proxy(fixture.hot, {
    get: (own, name) => (name === 'erase' ? away : Reflect.get(own, name)),
  })
  const askedAtMs = clock.nowMs()
  const job = of({ field: 'trace.id', tokens: ['0'.repeat(31).concat('1')], askedAtMs })
  await bus.append(controlTopic, controlPartition, [erasureRecord(job)])
  await erasures.readToEnd()
  const ended = new AbortController()
  const running = eraserOf(fixture, { hot, erasures, metrics }).run(ended.signal)
  const said = async (name: string) => (await fixture.metric(name))['']
  await until('it is said to fail', async () => {
    clock.advanceMs(1_000)
    return (await said('winnow_erasures_failing')) === 1
  })
  expect(await said('winnow_erasure_oldest_asked_timestamp_seconds')).toBe(askedAtMs / 1_000)
  ended.abort()
  clock.advanceMs(1_000)
  await running
  expect(await said('winnow_erasures_failing')).toBe(0)
  expect(await said('winnow_erasure_oldest_asked_timestamp_seconds')).toBe(0)
})
