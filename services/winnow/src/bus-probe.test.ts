import { PipelineError } from '@winnow/runtime'
import { expect, onTestFinished, test, vi } from 'vitest'
import { BusProbe, probeWaitMaxMs } from './bus-probe.ts'

test('a bus that answers is ready, one that says no is not, with its reason', async () => {
  let answer = async () => ({ first: 0, end: 0 })
  const probe = new BusProbe({ bounds: () => answer() }, 'spans')
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
  const probe = new BusProbe(
    {
      bounds: () => {
        asked++
        return new Promise(() => {})
      },
    },
    'spans',
  )
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
