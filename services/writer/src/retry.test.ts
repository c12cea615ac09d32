import { PipelineError, systemClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { backoffMs, retryFirstMs, retryMaxMs, untilDone } from './retry.ts'

const away = new PipelineError('STORE_UNAVAILABLE', 'away')
const never = new AbortController().signal

test('what may pass is repeated, and every failure is told', async () => {
  const told: unknown[] = []
  let calls = 0
  const work = async (): Promise<boolean> => {
    if (++calls < 3) throw away
    return true
  }
  expect(await untilDone(never, 0, systemClock, work, error => told.push(error))).toBe(true)
  expect(told).toEqual([away, away])
})

test('what cannot pass is the caller’s at once', async () => {
  const corrupt = new PipelineError('DATA_CORRUPT', 'no')
  for (const error of [corrupt, new TypeError('a bug')]) {
    const told: unknown[] = []
    const work = (): Promise<boolean> => Promise.reject(error)
    await expect(untilDone(never, 0, systemClock, work, one => told.push(one))).rejects.toBe(error)
    expect(told).toEqual([])
  }
})

test('it gives up when it is to end, also in the middle of a wait', async () => {
  const ended = new AbortController()
  const waiting = untilDone(
    ended.signal,
    0,
    systemClock,
    (): Promise<boolean> => Promise.reject(away),
    () => queueMicrotask(() => ended.abort()),
  )
  expect(await waiting).toBeUndefined()
  let calls = 0
  const work = async (): Promise<boolean> => ++calls > 0
  expect(await untilDone(ended.signal, 0, systemClock, work, () => {})).toBeUndefined()
  expect(calls).toBe(0)
})

test('waits double up to the most there is, and partitions do not wait alike', () => {
  for (const attempt of [0, 1, 2, 3, 4, 5, 6, 7, 30, 31, 1_000, 1e9]) {
    const most = Math.min(retryMaxMs, retryFirstMs * 2 ** attempt)
    const waits = Array.from({ length: 12 }, (_, partition) => backoffMs(attempt, partition))
    for (const ms of waits) {
      expect(ms).toBeGreaterThanOrEqual(Math.floor(most / 2))
      expect(ms).toBeLessThanOrEqual(most)
    }
    expect(new Set(waits).size).toBeGreaterThan(4)
  }
})
