import { type Bus, MemoryBus } from '@winnow/bus'
import { ManualClock, Metrics, silentLog } from '@winnow/runtime'
import { expect, test, vi } from 'vitest'
import { PolicyDesk } from './policy-desk.ts'
import { type Policy, parsePolicy } from './policy-file.ts'
import { PolicyFollower } from './policy-follower.ts'
import { PolicyLog } from './policy-log.ts'
import { specs, topics } from './world.fixture.ts'

const policyOf = (version: string): Policy =>
  parsePolicy(`version: ${version}\nrules: [{ kind: ordinary }]`)

const clock = new ManualClock()

function followerOf(bus: Bus, policy: Policy): PolicyFollower {
  return new PolicyFollower({
    bus,
    control: topics.control,
    clock,
    log: silentLog,
    metrics: new Metrics(),
    waitMs: 1,
    retryAfterMs: 1,
    policy,
    shadow: null,
  })
}

test('a file that changes while the one before is being said is said after it', async () => {
  const bus = new MemoryBus(Object.values(specs), clock)
  const [one, two, beside] = ['one', 'two', 'beside'].map(policyOf) as [Policy, Policy, Policy]
  const follower = followerOf(bus, one)
  const append = bus.append.bind(bus)
  bus.append = async (...args) => {
    bus.append = append
    const first = await append(...args)
    follower.reseed({ policy: two, shadow: beside })
    return first
  }
  expect((await follower.caughtUp()).live.policy.version).toBe(one.version)
  const { live, shadow } = await follower.caughtUp()
  expect(live.policy.version).toBe(two.version)
  expect(shadow?.policy.version).toBe(beside.version)
  const history = await new PolicyDesk({ bus, control: topics.control, clock }).history()
  expect(history.map(({ version }) => version)).toEqual([beside.version, two.version, one.version])
})

test('who follows control lets go of texts that nothing names, once it has read all', async () => {
  const tidy = vi.spyOn(PolicyLog.prototype, 'tidy')
  const follower = followerOf(new MemoryBus(Object.values(specs), clock), policyOf('one'))
  let turns = 0
  await follower.follow(() => tidy.mock.calls.length > 0 || ++turns > 100)
  expect(tidy).toHaveBeenCalled()
  tidy.mockRestore()
})
