import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { heldBytes, MemoryTraceBuffer } from './memory-trace-buffer.ts'
import { traceBufferContract } from './trace-buffer.contract.ts'

const lifeMs = 60_000

function memoryBuffer(bytesMax: number): { buffer: MemoryTraceBuffer; clock: ManualClock } {
  const clock = new ManualClock()
  return { buffer: new MemoryTraceBuffer({ clock, lifeMs, bytesMax }), clock }
}

const put = (buffer: MemoryTraceBuffer, offset: number, bytes: number): Promise<void> =>
  buffer.putRecords('log', 0, [{ offset, value: new Uint8Array(bytes) }])

const has = async (buffer: MemoryTraceBuffer, offset: number): Promise<boolean> => {
  const [read] = await buffer.readRanges('log', [{ partition: 0, offset, start: 0, length: 1 }])
  return read !== undefined
}

traceBufferContract('memory', async () => memoryBuffer(1 << 20).buffer)

test('memory: a value lives its time from its put, however often it is read', async () => {
  const { buffer, clock } = memoryBuffer(1000)
  await put(buffer, 0, 10)
  await buffer.putCheckpoint('log', 0, { offset: 1, bytes: new Uint8Array(10) })
  clock.advanceMs(lifeMs - 1)
  expect(await has(buffer, 0)).toBe(true)
  expect(await buffer.readCheckpoint('log', 0)).toBeDefined()
  clock.advanceMs(1)
  expect(await has(buffer, 0)).toBe(false)
  expect(await buffer.readCheckpoint('log', 0)).toBeUndefined()
  expect(buffer.bytes).toBe(0)
})

test('memory: at its budget nothing goes, one value over it what was used longest ago does', async () => {
  const { buffer } = memoryBuffer(100 + 3 * heldBytes)
  await put(buffer, 0, 40)
  await put(buffer, 1, 40)
  await put(buffer, 2, 20)
  expect(await has(buffer, 0)).toBe(true) // used: record 1 is the oldest now
  await put(buffer, 3, 0)
  expect(await has(buffer, 1)).toBe(false)
  for (const offset of [0, 2]) expect(await has(buffer, offset)).toBe(true)
  expect(buffer.bytes).toBe(60 + 3 * heldBytes)
})

test('memory: a value as large as the budget is held, a larger one is left out alone', async () => {
  const { buffer } = memoryBuffer(100 + heldBytes)
  await put(buffer, 0, 101)
  expect(await has(buffer, 0)).toBe(false)
  await put(buffer, 1, 100)
  expect(await has(buffer, 1)).toBe(true)
  await put(buffer, 2, 101)
  expect(await has(buffer, 1)).toBe(true)
})

test('memory: a flush forgets everything and takes more', async () => {
  const { buffer } = memoryBuffer(1000)
  await put(buffer, 0, 10)
  buffer.flush()
  expect(await has(buffer, 0)).toBe(false)
  await put(buffer, 0, 10)
  expect(await has(buffer, 0)).toBe(true)
  expect(buffer.bytes).toBe(10 + heldBytes)
})
