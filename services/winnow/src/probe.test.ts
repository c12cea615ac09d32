import { PipelineError } from '@winnow/runtime'
import { MemoryBlobStore } from '@winnow/storage'
import { expect, onTestFinished, test, vi } from 'vitest'
import { blobProbe, busProbe, hotProbe, Probe, probeWaitMaxMs, storeAnswerKeptMs } from './probe.ts'

test('a bus that answers is ready, one that says no is not, with its reason', async () => {
  let answer = async () => ({ first: 0, end: 0 })
  const probe = busProbe({ bounds: () => answer() }, 'spans')
  expect(await probe.read()).toEqual({ ready: true })
  answer = async () => {
    throw new PipelineError('BUS_UNAVAILABLE', 'no broker')
  }
  expect(await probe.read()).toEqual({
    ready: false,
    detail: 'the bus does not answer: [BUS_UNAVAILABLE] no broker',
  })
  answer = async () => ({ first: 0, end: 1 })
  expect(await probe.read()).toEqual({ ready: true })
})

test('a silent bus is not ready after probeWaitMax, with one question under way', async () => {
  let asked = 0
  const bounds = () => {
    asked++
    return new Promise<never>(() => {})
  }
  const probe = busProbe({ bounds }, 'spans')
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const read: boolean[] = []
  const all = [1, 2].map(async () => read.push((await probe.read()).ready))
  await vi.advanceTimersByTimeAsync(probeWaitMaxMs - 1)
  expect(read).toEqual([])
  await vi.advanceTimersByTimeAsync(1)
  await Promise.all(all)
  expect([read, asked]).toEqual([[false, false], 1])
})

test('a good answer is kept until its time is over, a bad one not at all', async () => {
  let nowMs = 0
  let asked = 0
  let isUp = true
  const probe = new Probe({
    what: 'the hot store',
    keptMs: storeAnswerKeptMs,
    nowMs: () => nowMs,
    ask: async () => {
      asked++
      if (!isUp) throw new PipelineError('STORE_UNAVAILABLE', 'down')
    },
  })
  await probe.read()
  isUp = false
  nowMs = storeAnswerKeptMs - 1
  expect([await probe.read(), asked]).toEqual([{ ready: true }, 1])
  nowMs++
  expect((await probe.read()).ready).toBe(false)
  isUp = true
  expect([await probe.read(), asked]).toEqual([{ ready: true }, 3])
})

test('what a stage can do without leaves it ready, and says why it is degraded', async () => {
  const head = async (): Promise<never> => {
    throw new PipelineError('STORE_UNAVAILABLE', 'no bucket')
  }
  expect(await blobProbe({ head }, { optional: true }).read()).toEqual({
    ready: true,
    detail: 'the blob store does not answer: [STORE_UNAVAILABLE] no bucket',
  })
  expect((await blobProbe({ head }).read()).ready).toBe(false)
})

test('what is asked of a store has an answer where there is nothing', async () => {
  const blobs = new MemoryBlobStore({ nowMs: () => 0 })
  expect(await blobProbe(blobs).read()).toEqual({ ready: true })
  const search = async () => ({ decisions: [] })
  expect(await hotProbe({ search }).read()).toEqual({ ready: true })
})
