import { PipelineError } from '@winnow/runtime'
import { type HotStore, MemoryHotStore } from '@winnow/storage'
import { expect, test } from 'vitest'
import { Fixture, spanOf, spansTopic, traceIdOf, until } from '../writer.fixture.ts'
import { blockTrace, erasuresOf, hourMs, never, writerErasure } from './erasing.fixture.ts'
import { findTraces } from './find-traces.ts'

test('what waits for a hot store that is away is not put once its trace is blocked', async () => {
  const held = new MemoryHotStore()
  let isAway = true
  let refused = 0
  const hot: HotStore = new Proxy<HotStore>(held, {
    get: (own, name) => {
      const value: unknown = Reflect.get(own, name)
      if (typeof value !== 'function') return value
      if (name !== 'put' || !isAway) return value.bind(own)
      return async () => {
        refused++
        throw new PipelineError('STORE_UNAVAILABLE', 'hot is away')
      }
    },
  })
  const fixture = new Fixture({ hot })
  const { clock } = fixture
  const erasures = erasuresOf(fixture)
  await fixture.keep(0)
  await fixture.keep(1)
  await fixture.writer({ segmentAge: hourMs }, { erasure: writerErasure(fixture, erasures) })
  await until('both are read', async () => {
    clock.advanceMs(100)
    return refused > 0
  })
  const traceId = traceIdOf(0)
  await blockTrace(fixture, traceId)
  await erasures.readToEnd()
  isAway = false
  await until('the other is in hot', async () => {
    clock.advanceMs(1_000)
    return (await held.get('default', traceIdOf(1))) !== undefined
  })
  expect(await held.get('default', traceId)).toBeUndefined()
  await fixture.stop()
})

test('on the bus an attribute is found as whatever type its sender gave it', async () => {
  const fixture = new Fixture()
  const { bus, blobs, hashers } = fixture
  const hasher = await hashers.of('default')
  const values = [
    { intValue: 77n },
    { doubleValue: 77.5 },
    { boolValue: true },
    { kvlistValue: { values: [{ key: 'id', value: { stringValue: 'u_1' } }] } },
    { arrayValue: { values: [{ doubleValue: 77.5 }] } },
  ]
  for (const [n, value] of values.entries()) {
    const span = spanOf(traceIdOf(n), 0)
    const attributes = [...span.attributes, { key: 'user.id_hash', value }]
    await fixture.slices([[{ ...span, attributes }]])
  }
  const find = (text: string): Promise<Set<string>> =>
    findTraces({
      bus,
      spans: spansTopic,
      blobs,
      tenant: 'default',
      field: 'user.id_hash',
      tokens: [hasher.token(text)],
      hasher,
      onLooked: async () => {},
      onAside: () => {},
      clock: fixture.clock,
      ended: never,
    })
  expect(await find('77')).toEqual(new Set([traceIdOf(0)]))
  expect(await find('77.5')).toEqual(new Set([1, 4].map(traceIdOf)))
  expect(await find('true')).toEqual(new Set([traceIdOf(2)]))
  expect(await find('u_1')).toEqual(new Set([traceIdOf(3)]))
})
