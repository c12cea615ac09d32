import { readFileSync } from 'node:fs'
import type { Bus } from '@winnow/bus'
import { ManualClock, PipelineError, type PipelineErrorCode } from '@winnow/runtime'
import { MemoryTraceBuffer } from '@winnow/storage'
import { trace48fId } from '@winnow/testing'
import { expect, test } from 'vitest'
import { PendingInBuffer } from './pending-in-buffer.ts'

// Of partition 7, where trace 48f lies in a topic of 14; one slice of it is open.
const golden = readFileSync(
  new URL('../../assembler/src/golden/checkpoint.v1.bin', import.meta.url),
)
const logId = '018f4d2e-5b6a-4c3d-9e8f-0a1b2c3d4e5f'
const everyMs = 5_000

class World {
  readonly clock = new ManualClock()
  readonly buffer = new MemoryTraceBuffer({ clock: this.clock, lifeMs: 60_000, bytesMax: 1 << 24 })
  reads = 0
  failure: PipelineErrorCode | undefined
  readonly checkpoints = new PendingInBuffer({
    buffer: Object.assign(Object.create(this.buffer), {
      readCheckpoint: (...asked: [string, number]) => {
        this.reads++
        return this.buffer.readCheckpoint(...asked)
      },
    }),
    bus: {
      logId: async () => logId,
      partitionCount: async () => {
        if (this.failure !== undefined) throw new PipelineError(this.failure, 'no')
        return 14
      },
    } as Partial<Bus> as Bus,
    topic: 'spans',
    group: 'assembler',
    everyMs,
    clock: this.clock,
  })

  put(): Promise<void> {
    return this.buffer.putCheckpoint(logId, 7, { offset: 3, bytes: golden })
  }
}

test('a trace that a checkpoint has is pending, for its tenant alone', async () => {
  const world = new World()
  expect(await world.checkpoints.find('default', trace48fId)).toBeUndefined()
  await world.put()
  expect(await world.checkpoints.find('default', trace48fId)).toMatchObject({
    firstAppendedAtMs: 1_000_002,
  })
  expect(await world.checkpoints.find('other', trace48fId)).toBeUndefined()
})

test('a checkpoint is read once for many questions, and again when there may be another', async () => {
  const world = new World()
  await world.put()
  const find = () => world.checkpoints.find('default', trace48fId)
  await Promise.all([find(), find()])
  world.clock.advanceMs(everyMs - 1)
  await find()
  expect(world.reads).toBe(1)
  world.clock.advanceMs(1)
  world.buffer.flush()
  expect(await find()).toBeUndefined()
  expect(world.reads).toBe(2)
})

test('a bus that does not answer is nobody who knows, a bug is not hidden', async () => {
  const world = new World()
  await world.put()
  world.failure = 'BUS_UNAVAILABLE'
  expect(await world.checkpoints.find('default', trace48fId)).toBeUndefined()
  world.failure = 'CONFIG_INVALID'
  await expect(world.checkpoints.find('default', trace48fId)).rejects.toThrow(/CONFIG_INVALID/)
})
