import { setImmediate } from 'node:timers/promises'
import { PipelineError } from '@winnow/runtime'
import { emptyPack, MemoryBlobStore } from '@winnow/storage'
import { expect, test } from 'vitest'
import type { FoldedRecord } from './decisions-reader.ts'
import { ForcedLease, segmentsProcess } from './forced-lease.fixture.ts'
import { Gathered } from './gathered.ts'
import type { KeptSpans } from './kept-reader.ts'
import { OpenSegment } from './open-segment.ts'
import { noteOf } from './position.ts'
import { Fixture, loggedOn, traceIdOf, until } from './writer.fixture.ts'

const nothing: KeptSpans = {
  spans: emptyPack,
  bodies: [],
  slicesRead: 0,
  bytesRead: 0,
  spansGone: 0,
  spansAside: 0,
}
const never = new AbortController().signal

function holding(decisions: number): OpenSegment {
  const open = new OpenSegment(0, 0)
  for (let offset = 0; offset < decisions; offset++) {
    const record: FoldedRecord = {
      offset,
      appendedAtMs: 0,
      value: new Uint8Array(),
      logged: loggedOn(traceIdOf(1)),
      after: { claim: 0, next: 1 },
    }
    open.add(record, [nothing], 0)
  }
  return open
}

const perDecision = holding(1).bytes

test('at the limit of all together nothing is in excess; one byte past it the largest is', () => {
  const [small, large] = [holding(2), holding(3)]
  const at = new Gathered(5 * perDecision)
  const past = new Gathered(5 * perDecision - 1)
  for (const gathered of [at, past]) {
    gathered.add(small)
    gathered.add(large)
    expect(gathered.bytes).toBe(5 * perDecision)
  }
  expect(at.excess).toBeUndefined()
  expect(past.excess).toBe(large)
  large.waitFor(100)
  expect(past.excess).toBe(small)
  small.waitFor(100)
  expect(past.excess).toBeUndefined()
})

test('the others wait until the one in excess is written, it does not', async () => {
  const [small, large] = [holding(1), holding(2)]
  const gathered = new Gathered(perDecision)
  gathered.add(small)
  gathered.add(large)
  await gathered.room(large, never)
  let hasRoom = false
  const waiting = gathered.room(small, never).then(() => {
    hasRoom = true
  })
  gathered.changed()
  await setImmediate()
  expect(hasRoom).toBe(false)
  large.forgetThrough(1)
  gathered.changed()
  await waiting
})

test('a partition that is lost makes room, and one that ends does not wait', async () => {
  const [small, large] = [holding(1), holding(2)]
  const gathered = new Gathered(perDecision)
  gathered.add(small)
  gathered.add(large)
  const ended = new AbortController()
  const ending = gathered.room(small, ended.signal)
  ended.abort()
  await ending
  const waiting = gathered.room(small, never)
  gathered.delete(large)
  await waiting
})

test('while the store is away memory stays where the limit is, and then everything is written', async () => {
  const fixture = new Fixture()
  for (let n = 0; n < 30; n++) await fixture.drop(n)
  let isAway = true
  const blobs = new (class extends MemoryBlobStore {
    override async create(key: string, bytes: Uint8Array): Promise<boolean> {
      if (isAway) throw new PipelineError('STORE_UNAVAILABLE', 'away')
      return super.create(key, bytes)
    }
  })(fixture.clock)
  const limit = 10 * perDecision
  const gathered = new Gathered(limit)
  const config = { segmentAge: 1_000_000 }
  const running = [1, 2].map(() => {
    const positions = { committed: { offset: 0, note: noteOf({ claim: -1, next: 1 }) } }
    const lease = new ForcedLease(fixture, positions, () => 1)
    return { lease, positions, done: segmentsProcess(fixture, lease, config, { blobs, gathered }) }
  })
  await until('a put was tried', () => fixture.said('writer.segments_put_failed').length > 0)
  for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setTimeout(resolve, 1))
  expect(gathered.bytes).toBeGreaterThan(limit)
  // A record of each may be on its way when the limit is passed.
  expect(gathered.bytes).toBeLessThan(limit + 2 * perDecision)
  isAway = false
  await until('all is written', () =>
    running.every(({ positions }) => positions.committed.offset > 25),
  )
  for (const { lease, done } of running) {
    lease.lose()
    await done
  }
  expect(gathered.bytes).toBe(0)
})
