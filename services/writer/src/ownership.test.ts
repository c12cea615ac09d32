import type { Lease, Position } from '@winnow/bus'
import { ManualClock, PipelineError } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { ForcedLease, type Positions, segmentsProcess } from './forced-lease.fixture.ts'
import { Ownership } from './ownership.ts'
import { noteOf } from './position.ts'
import { tiersOf } from './tiers.fixture.ts'
import { decisionsTopic, Fixture, until } from './writer.fixture.ts'

const state = { claim: 3, next: 8 }

function owning(): {
  ownership: Ownership
  clock: ManualClock
  commits: Position[]
  answer: (error: PipelineError | undefined) => void
} {
  const clock = new ManualClock()
  const commits: Position[] = []
  let refusal: PipelineError | undefined
  const commit: Lease['commit'] = async position => {
    if (refusal !== undefined) throw refusal
    commits.push(position)
  }
  const lease = { commit } as Lease
  const ownership = new Ownership(lease, clock, 600_000)
  return { ownership, clock, commits, answer: error => (refusal = error) }
}

test('up to maxStall a fold believes its lease, one past it the bus is asked', async () => {
  const { ownership, clock, commits, answer } = owning()
  await ownership.commit(5, state)
  clock.advanceMs(600_000)
  answer(new PipelineError('STALE_OWNER', 'another owner'))
  expect(await ownership.isOurs()).toBe(true)
  clock.advanceMs(1)
  expect(await ownership.isOurs()).toBe(false)
  answer(undefined)
  expect(await ownership.isOurs()).toBe(true)
  // The last commit, unchanged; and who has just been answered need not ask.
  expect(commits).toEqual([
    { offset: 5, note: noteOf(state) },
    { offset: 5, note: noteOf(state) },
  ])
  await ownership.isOurs()
  expect(commits.length).toBe(2)
})

test('a bus that does not answer is neither yes nor no', async () => {
  const { ownership, clock, answer } = owning()
  ownership.beginAt(0, state)
  clock.advanceMs(600_001)
  answer(new PipelineError('BUS_UNAVAILABLE', 'away'))
  await expect(ownership.isOurs()).rejects.toThrow(/BUS_UNAVAILABLE/)
})

test('who wakes up as a former owner puts nothing', async () => {
  const fixture = new Fixture()
  for (let n = 0; n < 3; n++) await fixture.keep(n)
  const positions: Positions = { committed: { offset: 0, note: noteOf({ claim: -1, next: 1 }) } }
  const lease = new ForcedLease(fixture, positions)
  const { bus } = fixture
  const fetchRanges = bus.fetchRanges.bind(bus)
  bus.fetchRanges = (topic, partition, ranges) => {
    // It sleeps over what it reads; meanwhile another one is the owner.
    fixture.clock.advanceMs(600_001)
    lease.isStale = true
    return fetchRanges(topic, partition, ranges)
  }
  await segmentsProcess(fixture, lease, { segmentAge: 0 })
  expect((await tiersOf(fixture.blobs)).ledger).toEqual([])
  bus.fetchRanges = fetchRanges
  const next = new ForcedLease(fixture, positions)
  const done = segmentsProcess(fixture, next, { segmentAge: 0 })
  const { end } = await fixture.bus.bounds(decisionsTopic, 0)
  await until('all is committed', () => positions.committed?.offset === end)
  next.lose()
  await done
  expect((await tiersOf(fixture.blobs)).ledger.length).toBeGreaterThan(0)
})

test('a commit without an answer is asked again, one with an answer is not', async () => {
  const { ownership, commits, answer } = owning()
  answer(new PipelineError('BUS_UNAVAILABLE', 'no answer'))
  await ownership.commit(5, state)
  await ownership.commitUnanswered()
  answer(undefined)
  await ownership.commitUnanswered()
  await ownership.commitUnanswered()
  expect(commits).toEqual([{ offset: 5, note: noteOf(state) }])
})

test('a refused commit is an answer', async () => {
  const { ownership, commits, answer } = owning()
  answer(new PipelineError('STALE_OWNER', 'another owner'))
  await ownership.commit(5, state)
  answer(undefined)
  await ownership.commitUnanswered()
  expect(commits).toEqual([])
})
