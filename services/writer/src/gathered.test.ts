import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { FoldedRecord } from './decisions-reader.ts'
import { Gathered } from './gathered.ts'
import type { KeptSpans } from './kept-reader.ts'
import { OpenSegment } from './open-segment.ts'
import { decisionOn, traceIdOf } from './writer.fixture.ts'

const nothing: KeptSpans = { rows: [], bodies: [], slicesRead: 0, spansGone: 0, spansAside: 0 }
const never = new AbortController().signal

function holding(decisions: number): OpenSegment {
  const open = new OpenSegment(0, 0)
  for (let offset = 0; offset < decisions; offset++) {
    const record: FoldedRecord = {
      offset,
      appendedAtMs: 0,
      value: new Uint8Array(),
      decision: decisionOn(traceIdOf(1)),
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
