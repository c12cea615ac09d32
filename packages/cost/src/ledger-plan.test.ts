import { ManualClock } from '@winnow/runtime'
import { MemoryBlobStore, segmentKey } from '@winnow/storage'
import { expect, test } from 'vitest'
import { planLedger } from './ledger-plan.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const startMs = Date.UTC(2026, 10, 21)

/** A segment an hour in each of two partitions. */
async function filled(hours: number) {
  const clock = new ManualClock()
  clock.advanceMs(startMs)
  const blobs = new MemoryBlobStore(clock)
  const keys: string[] = []
  for (let hour = 0; hour < hours; hour++) {
    const atMs = clock.nowMs()
    clock.advanceMs(hourMs)
    for (const partition of [0, 1]) {
      // One of them has a hundred times the other's decisions.
      const offset = partition === 0 ? hour : hour * 100
      const key = segmentKey('ledger', atMs, partition, '1-log', offset)
      await blobs.create(key, new Uint8Array(1))
      keys.push(key)
    }
  }
  return { blobs, clock, keys }
}

test('the newest segments of every partition are read, though an older one was made anew', async () => {
  const { blobs, clock, keys } = await filled(4)
  await blobs.rewrite(keys[0] ?? '', async bytes => bytes)
  const asked = { sinceMs: startMs, untilMs: clock.nowMs() }
  const plan = await planLedger(blobs, { ...asked, segmentsMax: 4 })
  expect(plan.segments.map(({ key }) => key).toSorted()).toEqual(keys.slice(4).toSorted())
  expect(plan.sinceMs).toBe(startMs + 2 * hourMs + 1)
  const whole = await planLedger(blobs, { ...asked, segmentsMax: 8 })
  expect([whole.segments.length, whole.sinceMs]).toEqual([8, startMs])
})

test('of many days no more are held than the limit needs, and nothing since the time it names is left out', async () => {
  const { blobs, clock, keys } = await filled(24 * 9)
  const asked = { sinceMs: startMs, untilMs: clock.nowMs(), segmentsMax: 60 }
  const plan = await planLedger(blobs, asked)
  expect(plan.segments.map(({ key }) => key).toSorted()).toEqual(keys.slice(-60).toSorted())
  expect(plan.sinceMs).toBe(startMs + 9 * dayMs - 30 * hourMs + 1)
  const most = { ...asked, objectsMax: keys.length }
  expect(await planLedger(blobs, most)).toEqual(plan)
  await expect(planLedger(blobs, { ...most, objectsMax: keys.length - 1 })).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
  })
})
