import { expect, onTestFinished, test, vi } from 'vitest'
import { heldRefusalsMax, RefusalHold } from './refusal-hold.ts'

test('refusals wait up to the limit at once, of one more the answer comes at once', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const hold = new RefusalHold(1000)
  let answered = 0
  const wait = (): Promise<void> => hold.wait().then(() => void answered++)
  const held = Array.from({ length: heldRefusalsMax }, wait)
  await vi.advanceTimersByTimeAsync(999)
  expect(answered).toBe(0)
  await wait()
  expect(answered).toBe(1)
  await vi.advanceTimersByTimeAsync(1)
  await Promise.all(held)
  expect(answered).toBe(heldRefusalsMax + 1)
  // There is room again.
  const next = wait()
  await vi.advanceTimersByTimeAsync(999)
  expect(answered).toBe(heldRefusalsMax + 1)
  await vi.advanceTimersByTimeAsync(1)
  await next
})
