import { type Bus, MemoryBus } from '@winnow/bus'
import {
  type Log,
  ManualClock,
  PipelineError,
  type PipelineErrorCode,
  silentLog,
  systemClock,
} from '@winnow/runtime'
import { expect, test } from 'vitest'
import { ColumnFollower } from './column-follower.ts'
import { defaultPolicy, parsePolicy } from './policy-file.ts'
import { policyEntryRecord, policyTextRecord } from './policy-record.ts'
import { specs, topics } from './world.fixture.ts'

const asked = parsePolicy(`
version: asked
rules:
  - { kind: condition, name: eu, when: 'attribute["app.region"] == "eu"' }
  - { kind: ordinary, probability: 0 }
`)

/** Its `control` is refused so often. */
class RefusingBus extends MemoryBus {
  refusals = 0
  code: PipelineErrorCode = 'BUS_UNAVAILABLE'

  override async bounds(topic: string, partition: number) {
    if (this.refusals-- > 0) throw new PipelineError(this.code, 'no')
    return super.bounds(topic, partition)
  }
}

/** A bus on whose `control` somebody has put a policy in force, of which no file knows. */
async function applied(): Promise<RefusingBus> {
  const bus = new RefusingBus(Object.values(specs), new ManualClock())
  const { version } = asked
  const entry = { kind: 'policy-in-force', version, n: 1, source: 'api', atMs: 1 } as const
  await bus.append(topics.control, 0, [policyTextRecord(asked), policyEntryRecord(entry)])
  return bus
}

function followerOf(bus: Bus, log: Log = silentLog): ColumnFollower {
  return new ColumnFollower({
    bus,
    control: topics.control,
    clock: systemClock,
    log,
    policies: [defaultPolicy],
    waitMs: 5,
    retryAfterMs: 1,
  })
}

test('once it has started it knows what the policy in force names, whatever the files say', async () => {
  const follower = followerOf(await applied())
  expect(follower.columns).toEqual([])
  await follower.start()
  expect(follower.columns).toEqual(['app.region'])
  await follower.stop()
})

test('it has not started while control cannot be read, and says so', async () => {
  const bus = await applied()
  bus.refusals = 3
  const said: string[] = []
  const follower = followerOf(bus, { ...silentLog, error: event => said.push(event) })
  await follower.start()
  expect(follower.columns).toEqual(['app.region'])
  expect(said).toEqual(Array.from({ length: 3 }, () => 'assembler.control_unavailable'))
  await follower.stop()
})

test('what will not pass ends its start', async () => {
  const bus = await applied()
  bus.refusals = 1
  bus.code = 'CONFIG_INVALID'
  await expect(followerOf(bus).start()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})
