import { type Bus, MemoryBus } from '@winnow/bus'
import { columnsMax } from '@winnow/model'
import {
  type Log,
  ManualClock,
  PipelineError,
  type PipelineErrorCode,
  silentLog,
  systemClock,
} from '@winnow/runtime'
import { expect, test, vi } from 'vitest'
import { ColumnFollower } from './column-follower.ts'
import { defaultPolicy, type Policy, parsePolicy } from './policy-file.ts'
import { PolicyLog } from './policy-log.ts'
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

function followerOf(
  bus: Bus,
  log: Log = silentLog,
  policies: readonly Policy[] = [defaultPolicy],
): ColumnFollower {
  return new ColumnFollower({
    bus,
    control: topics.control,
    clock: systemClock,
    log,
    policies,
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

test('what the policy in force leaves no room for of the shadow is said', () => {
  const naming = (from: number, count: number) => {
    const rules = Array.from({ length: count }, (_, at) => {
      const when = `attribute["k${from + at}"] == 1`
      return `  - { kind: condition, name: r${at}, when: '${when}' }`
    })
    return parsePolicy(`version: v\nrules:\n${rules.join('\n')}\n  - { kind: ordinary }\n`)
  }
  const said: unknown[] = []
  const log = {
    ...silentLog,
    warn: (event: string, more?: unknown) => said.push({ event, more }),
  }
  const columnsOf = (count: number) =>
    followerOf(new MemoryBus([], new ManualClock()), log, [
      naming(0, columnsMax - 1),
      naming(99, count),
    ]).columns
  expect(columnsOf(1)).toHaveLength(columnsMax)
  expect(said).toEqual([])
  expect(columnsOf(2)).toHaveLength(columnsMax)
  expect(said).toEqual([
    { event: 'assembler.columns_left_out', more: { of: columnsMax + 1, columns: 'k100' } },
  ])
})

test('who follows control lets go of texts that nothing names, once it has read all', async () => {
  const tidy = vi.spyOn(PolicyLog.prototype, 'tidy')
  const follower = followerOf(await applied())
  await follower.start()
  await vi.waitFor(() => expect(tidy).toHaveBeenCalled(), 5_000)
  await follower.stop()
  tidy.mockRestore()
})
