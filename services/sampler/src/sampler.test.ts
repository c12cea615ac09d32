import type { Bus } from '@winnow/bus'
import { Health, silentLog } from '@winnow/runtime'
import { afterEach, expect, test } from 'vitest'
import { defaultSamplerConfig } from './config.ts'
import { evaluation, request, root, summary, traceIdOf } from './fixtures.ts'
import { defaultPolicy, parsePolicy } from './policy-file.ts'
import { createSampler, type Sampler } from './sampler.ts'
import { hour, topics, until, World } from './world.fixture.ts'

let world: World
function newWorld(): World {
  world = new World()
  return world
}
afterEach(async () => {
  await Promise.all(world.samplers.map(sampler => sampler.stop()))
})

const dropped = traceIdOf(1)
const kept = traceIdOf(2, 'ffffffffffffff')

test('an ordinary trace is kept or dropped by its randomness, with the weight of what it stands for', async () => {
  const { bus, clock } = newWorld()
  await world.start()
  await world.write(
    summary(dropped, [world.slice(1, [1, 2], root(100))]),
    summary(kept, [world.slice(2, [1, 2], root(100))]),
  )
  await world.settled()
  const [no] = await world.of(dropped)
  expect(no).toMatchObject({
    revision: 1,
    verdict: 'drop',
    primary: 'ordinary',
    probability: 0.1,
    th: 'e6666666666666',
    adjustedCount: 0,
    write: [],
    cause: 'completed',
    closeReason: 'root',
    complete: true,
    spanCount: 2,
    inputTokens: 20,
    service: 'refund-bot',
    operation: 'refund_chat.turn',
    durationMs: 100,
    seriesAtMs: clock.nowMs(),
    decidedAtMs: clock.nowMs(),
    prev: null,
  })
  expect(no?.rules.map(rule => rule.name)).toEqual(defaultPolicy.rules.map(rule => rule.kind))
  const [yes] = await world.of(kept)
  expect(yes).toMatchObject({
    verdict: 'keep',
    primary: 'ordinary',
    stratum: 'ordinary',
    write: [0],
  })
  expect(yes?.adjustedCount).toBeCloseTo(10, 9)
  expect(await bus.bounds(topics.decisions, 0)).toMatchObject({ end: 3 })
})

test('a late evaluation turns a drop into a keep that writes everything', async () => {
  newWorld()
  await world.start()
  const slices = [world.slice(1, [1, 2], root(100)), world.slice(2, [3])]
  await world.write(summary(dropped, slices))
  await world.settled()
  await world.write(evaluation(dropped, { name: 'csat', score: 2 }))
  await world.settled()
  expect(await world.of(dropped)).toMatchObject([
    { revision: 1, verdict: 'drop' },
    {
      revision: 2,
      verdict: 'keep',
      primary: 'low-csat',
      stratum: 'rescued',
      adjustedCount: 1,
      cause: 'evaluation',
      slices,
      write: [0, 1],
      evaluations: [{ name: 'csat', score: 2, effect: 'rescued' }],
    },
  ])
  expect(await world.metric('winnow_rescued_total{cause="evaluation"}')).toBe('1')
  expect(await world.metric('winnow_evaluations_total{name="csat",result="rescued"}')).toBe('1')
})

test('an evaluation that fails nothing is applied and the drop stays', async () => {
  newWorld()
  await world.start()
  await world.write(summary(dropped, [world.slice(1, [1], root(9))]))
  await world.write(evaluation(dropped, { name: 'csat', score: 3 }))
  await world.settled()
  expect((await world.of(dropped)).at(-1)).toMatchObject({
    verdict: 'drop',
    evaluations: [{ effect: 'applied' }],
  })
})

test('a fragment of a kept trace writes the new slices alone, and keep never becomes drop', async () => {
  newWorld()
  const sampler = await world.start()
  const [a, b, c] = [world.slice(5, [1], root(9)), world.slice(3, [2]), world.slice(4, [3])]
  await world.write(summary(kept, [a, b]))
  await world.settled()
  const none = parsePolicy('version: none\nrules: [{ kind: ordinary, probability: 0 }]')
  sampler.usePolicy(none)
  await world.decidesWith(none.version)
  await world.write(
    summary(kept, [c], { reason: 'rootless', missingParents: 1, closedAtMs: 9_000 }),
  )
  await world.settled()
  const [first, second] = await world.of(kept)
  expect(first).toMatchObject({ slices: [b, a], write: [0, 1] })
  expect(second).toMatchObject({
    revision: 2,
    verdict: 'keep',
    primary: 'ordinary',
    inherited: true,
    probability: 0.1,
    cause: 'fragment',
    slices: [b, c, a],
    write: [1],
    closeReason: 'root',
    complete: true,
  })
  expect(second?.adjustedCount).toBeCloseTo(10, 9)
})

test('summaries that overlap or repeat say nothing twice', async () => {
  newWorld()
  await world.start()
  const [a, b] = [world.slice(1, [1], root(9)), world.slice(2, [2, 1])]
  await world.write(summary(kept, [a]))
  await world.settled()
  await world.write(summary(kept, [a]))
  await world.settled()
  await world.write(summary(kept, [a, b]), summary(kept, [b]), summary(kept, [b, a]))
  await world.settled()
  const decisions = await world.of(kept)
  expect(decisions).toHaveLength(2)
  expect(decisions[1]).toMatchObject({
    spanCount: 2,
    duplicateSpans: 1,
    inputTokens: 20,
    write: [1],
  })
})

test('an evaluation before its trace awaits it, and is applied when it comes', async () => {
  newWorld()
  await world.start()
  await world.write(evaluation(dropped, { name: 'csat', score: 1, comment: 'a secret' }))
  await world.settled()
  await world.write(summary(dropped, [world.slice(1, [1], root(9))]))
  await world.settled()
  expect(await world.of(dropped)).toMatchObject([
    {
      slices: [],
      write: [],
      cause: 'evaluation',
      evaluations: [{ effect: 'awaiting' }],
      closeReason: null,
      complete: null,
    },
    {
      revision: 2,
      verdict: 'keep',
      primary: 'low-csat',
      stratum: 'low-csat',
      write: [0],
      cause: 'completed',
      evaluations: [{ effect: 'applied' }],
    },
  ])
  expect(JSON.stringify(await world.decisions())).not.toContain('a secret')
  expect(await world.metric('winnow_evaluations_total{name="csat",result="awaiting"}')).toBe('1')
  expect(await world.metric('winnow_evaluations_total{name="csat",result="applied"}')).toBe('1')
  expect(await world.metric('winnow_rescued_total')).toBeUndefined()
})

test('traces that wait for their spans are bounded by tenant, at the limit and one past it', async () => {
  newWorld()
  await world.start({ config: { awaitingMax: 3 } })
  const ids = [1, 2, 3, 4].map(id => traceIdOf(id))
  await world.write(...ids.map(id => evaluation(id, { name: 'csat', score: 1 })))
  await world.write(evaluation(ids[3] as string, { name: 'csat', score: 1, tenant: 'other' }))
  await world.settled()
  const written = (await world.decisions()).filter(r => r.kind === 'decision')
  expect(written.map(d => (d.kind === 'decision' ? [d.tenant, d.traceId] : []))).toEqual([
    ['default', ids[0]],
    ['default', ids[1]],
    ['default', ids[2]],
    ['other', ids[3]],
  ])
  expect(await world.metric('winnow_evaluations_total{name="csat",result="missed"}')).toBe('1')
  // A day later they still wait, and past it their places are free.
  world.clock.advanceMs(24 * hour)
  await world.write(evaluation(traceIdOf(5), { name: 'csat', score: 1 }))
  await world.settled()
  expect(await world.of(traceIdOf(5))).toHaveLength(0)
  world.clock.advanceMs(1)
  await world.write(evaluation(traceIdOf(5), { name: 'csat', score: 1 }))
  await world.settled()
  expect(await world.of(traceIdOf(5))).toHaveLength(1)
  // One that was missed needs a place like any other to wait again.
  await world.write(...[1, 2].map(id => evaluation(traceIdOf(id), { name: 'judge', id: `${id}` })))
  await world.settled()
  await world.write(evaluation(ids[2] as string, { name: 'judge' }))
  await world.settled()
  expect(await world.of(ids[1] as string)).toHaveLength(2)
  expect(await world.of(ids[2] as string)).toHaveLength(1)
})

test('an evaluation acts within its own tenant only', async () => {
  newWorld()
  await world.start()
  await world.write(summary(dropped, [world.slice(1, [1], root(9))]))
  await world.write(evaluation(dropped, { name: 'csat', score: 1, tenant: 'other' }))
  await world.settled()
  expect(await world.of(dropped)).toMatchObject([
    { tenant: 'default', verdict: 'drop', evaluations: [] },
    { tenant: 'other', slices: [] },
  ])
})

test('a rescue that somebody asks for keeps the trace', async () => {
  newWorld()
  await world.start()
  await world.write(summary(dropped, [world.slice(1, [1], root(9))]))
  await world.settled()
  await world.write(request(dropped), request(dropped))
  await world.settled()
  const decisions = await world.of(dropped)
  expect(decisions).toHaveLength(2)
  expect(decisions[1]).toMatchObject({
    verdict: 'keep',
    primary: 'requested',
    stratum: 'rescued',
    cause: 'request',
    write: [0],
    requests: [{ id: `${dropped}.r`, reason: 'why?' }],
  })
})

test('a keep that comes when every slice has left the bus is gone: at the limit it is not yet', async () => {
  for (const [late, isGone] of [
    [0, false],
    [1, true],
  ] as const) {
    newWorld()
    await world.start()
    await world.write(summary(dropped, [world.slice(1, [1], root(9))]))
    await world.settled()
    world.clock.advanceMs(24 * hour + late)
    await world.write(evaluation(dropped, { name: 'csat', score: 1 }))
    await world.settled()
    const last = (await world.of(dropped)).at(-1)
    expect(last).toMatchObject({
      verdict: 'keep',
      primary: 'low-csat',
      write: isGone ? [] : [0],
      adjustedCount: isGone ? 0 : 1,
      evaluations: [{ effect: isGone ? 'missed' : 'rescued' }],
    })
    expect(last?.gone).toBe(isGone ? true : undefined)
    expect(await world.metric('winnow_rescued_total')).toBe(isGone ? undefined : '1')
    await world.samplers[0]?.stop()
  }
})

test('a trace that outlived the index is a new series, at the limit it is not', async () => {
  for (const late of [0, 1]) {
    newWorld()
    await world.start()
    await world.write(summary(kept, [world.slice(1, [1], root(9))]))
    await world.settled()
    world.clock.advanceMs(72 * hour + late)
    await world.write(summary(kept, [world.slice(2, [2])]))
    await world.settled()
    const last = (await world.of(kept)).at(-1)
    expect(last).toMatchObject({
      revision: late === 0 ? 2 : 1,
      seriesAtMs: late === 0 ? 1_000_000 : world.clock.nowMs(),
    })
    expect(last?.series).toBe(late === 0 ? undefined : true)
    await world.samplers[0]?.stop()
  }
})

test('a restart goes on where the last one committed, from the log alone', async () => {
  newWorld()
  const first = await world.start()
  await world.write(summary(dropped, [world.slice(1, [1], root(9))]))
  await world.settled()
  await first.stop()
  await world.write(evaluation(dropped, { name: 'judge', label: 'FAIL' }))
  await world.start()
  await world.settled()
  expect(await world.of(dropped)).toMatchObject([
    { revision: 1, claim: 0, seq: 1 },
    { revision: 2, claim: 2, seq: 1, primary: 'judge-failed' },
  ])
})

test('evidence that nobody can read is left out alone', async () => {
  newWorld()
  await world.start()
  await world.bus.append(topics.evidence, 0, [{ value: Buffer.from('{{{') }])
  await world.write(
    { v: 1, kind: 'summary', tenant: 'default', traceId: 'xyz', slices: [] },
    { v: 1, kind: 'nonsense', tenant: 'default', traceId: kept },
    { ...evaluation(kept, { name: 'csat' }), score: 'two' },
    { ...summary(kept, [world.slice(1, [1])]), slices: [{ ref: {}, facts: null }] },
    summary(kept, [world.slice(1, [1], root(9))]),
  )
  await world.settled()
  expect(await world.of(kept)).toHaveLength(1)
  expect(await world.metric('winnow_evidence_malformed_total')).toBe('5')
})

test('evidence of a newer format ends the process, by name', async () => {
  newWorld()
  const sampler = await world.start()
  await world.write({ ...summary(kept, [world.slice(1, [1])]), v: 2 })
  await expect(sampler.failed).rejects.toMatchObject({
    code: 'DATA_CORRUPT',
    message: expect.stringContaining('format 2'),
  })
})

test('evidence that retention passed unread is counted and the rest is decided', async () => {
  newWorld()
  const first = await world.start()
  await world.write(summary(dropped, [world.slice(1, [1], root(9))]))
  await world.settled()
  await first.stop()
  await world.write(...[3, 4, 5].map(id => summary(traceIdOf(id), [world.slice(id, [1])])))
  world.bus.expire(topics.evidence, 0, 3)
  await world.start()
  await world.settled()
  expect(await world.metric('winnow_lost_to_retention_spans_total')).toBe('2')
  expect(await world.of(traceIdOf(5))).toHaveLength(1)
})

test('readiness follows the partitions', async () => {
  newWorld()
  const health = new Health()
  const sampler = createSamplerUnstarted(health)
  expect(await health.read()).toMatchObject({ ready: false })
  await sampler.start()
  await until(async () => (await health.read()).ready)
  await sampler.stop()
  expect(await health.read()).toMatchObject({ ready: false })
})

test('a sampler that has no partition yet is not ready', async () => {
  newWorld()
  const health = new Health()
  const never = Promise.withResolvers<never>().promise
  const withoutPartitions = new Proxy(world.bus, {
    get: (bus, name) => {
      const value: unknown = Reflect.get(bus, name, bus)
      if (name === 'join') return () => ({ close: async () => {}, failed: never })
      return typeof value === 'function' ? value.bind(bus) : value
    },
  })
  const sampler = createSamplerUnstarted(health, withoutPartitions)
  await sampler.start()
  expect((await health.read()).parts.sampler).toMatchObject({
    ready: false,
    detail: expect.stringContaining('no partition yet'),
  })
  await sampler.stop()
})

function createSamplerUnstarted(health: Health, bus: Bus = world.bus): Sampler {
  const { clock, metrics } = world
  const config = { ...defaultSamplerConfig, idleWait: 5 }
  const log = silentLog
  return createSampler({
    bus,
    topics,
    group: 'sampler',
    policy: defaultPolicy,
    clock,
    log,
    metrics,
    health,
    config,
  })
}
