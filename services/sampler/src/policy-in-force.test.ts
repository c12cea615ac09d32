import { afterEach, expect, test } from 'vitest'
import { evaluation, root, summary, traceIdOf } from './fixtures.ts'
import { defaultPolicy, parsePolicy } from './policy-file.ts'
import { hour, topics, World } from './world.fixture.ts'

const dropped = traceIdOf(1)
let world: World
function newWorld(): World {
  world = new World()
  return world
}
afterEach(async () => {
  await Promise.all(world.samplers.map(sampler => sampler.stop()))
})

test('a watched variant is kept up to its daily cap, over restarts, and again the next day', async () => {
  newWorld()
  const policy = parsePolicy(`
version: ab
rules:
  - kind: active-variant
    variants: [{ experiment: e, variant: B, until: 1970-01-09T00:00:00Z, dailyCap: 3 }]
  - { kind: ordinary, probability: 0 }
`)
  const of = (id: number) =>
    summary(traceIdOf(id), [world.slice(id, [1], root(9, { experiment: 'e', variant: 'B' }))])
  const verdicts = async () =>
    (await world.decisions()).flatMap(r => (r.kind === 'decision' ? [r.verdict] : []))
  const first = await world.start({ policy })
  await world.write(of(1), of(2))
  await world.settled()
  await first.stop()
  const second = await world.start({ policy })
  await world.write(of(3), of(4))
  await world.write(of(1))
  await world.settled()
  expect(await verdicts()).toEqual(['keep', 'keep', 'keep', 'drop'])
  world.clock.advanceMs(24 * hour)
  await world.write(of(5))
  await world.settled()
  expect((await verdicts()).at(-1)).toBe('keep')
  world.clock.advanceMs(14 * 24 * hour)
  await world.write(of(6))
  await world.settled()
  expect((await verdicts()).at(-1)).toBe('drop')
  await second.stop()
})

test('a slow trace is kept once its key is warm, and the bar is in the decision', async () => {
  newWorld()
  await world.start({ config: { slowCountMin: 20, baselinesEvery: 1 } })
  const of = (id: number, ms: number) => summary(traceIdOf(id), [world.slice(id, [1], root(ms))])
  await world.write(of(1, 90_000))
  await world.write(...Array.from({ length: 100 }, (_, i) => of(i + 2, 1_000 + i)))
  await world.settled()
  await world.write(of(200, 5_000))
  await world.settled()
  const [cold] = await world.of(traceIdOf(1))
  expect(cold?.verdict).toBe('drop')
  expect(cold?.rules.find(rule => rule.name === 'slow')).toMatchObject({
    matched: false,
    value: 90_000,
    detail: { count: 0 },
  })
  const [slow] = await world.of(traceIdOf(200))
  expect(slow).toMatchObject({ verdict: 'keep', primary: 'slow' })
  const answer = slow?.rules.find(rule => rule.name === 'slow')
  expect(answer).toMatchObject({
    value: 5_000,
    detail: { key: 'refund-bot refund_chat.turn', count: 101 },
  })
  expect(answer?.threshold).toBeGreaterThan(1_090)
  expect(answer?.threshold).toBeLessThan(1_120)
  // Its own duration joins the past only after it was judged, and a restart finds the past again.
  world.clock.advanceMs(10)
  await world.samplers[0]?.stop()
  await world.start({ config: { slowCountMin: 20 } })
  await world.write(of(201, 80_000), evaluation(traceIdOf(200), { name: 'csat', score: 5 }))
  await world.settled()
  expect((await world.of(traceIdOf(201)))[0]).toMatchObject({ verdict: 'keep', primary: 'slow' })
  const again = (await world.of(traceIdOf(200))).at(-1)
  expect(again?.rules.find(rule => rule.name === 'slow')).toEqual(answer)
})

test('the rules behind a version are on the control topic', async () => {
  newWorld()
  const sampler = await world.start()
  await world.decidesWith(defaultPolicy.version)
  const policy = parsePolicy('version: next\nrules: [{ kind: ordinary }]')
  sampler.usePolicy(policy)
  await world.decidesWith(policy.version)
  const { records } = await world.bus.read(topics.control, 0, 0, 1e9, 0)
  expect(records.map(({ value }) => JSON.parse(Buffer.from(value).toString()))).toMatchObject([
    { kind: 'policy', version: defaultPolicy.version },
    { kind: 'policy-in-force', version: defaultPolicy.version, n: 1, source: 'file' },
    { kind: 'policy', version: policy.version, rules: policy.rules },
    { kind: 'policy-in-force', version: policy.version, n: 2, source: 'file' },
  ])
})

test('a rule that throws keeps the trace', async () => {
  newWorld()
  await world.start()
  const broken = root(9, {
    outcomes: [{ name: 'judge', spanId: '1', label: 5 as unknown as string }],
  })
  await world.write(summary(dropped, [world.slice(1, [1], broken)]))
  await world.settled()
  expect(await world.of(dropped)).toMatchObject([{ verdict: 'keep', primary: 'judge-failed' }])
  expect(await world.metric('winnow_rule_errors_total{rule="judge-failed"}')).toBe('1')
})
