import { setImmediate } from 'node:timers/promises'
import { PipelineError, type StageClock } from '@winnow/runtime'
import { emptyPack, type HotStore, type HotTrace } from '@winnow/storage'
import { expect, test } from 'vitest'
import { HotPuts, hotGatherMs, hotGatherTraces } from './hot-puts.ts'
import { loggedOn, traceIdOf } from './writer.fixture.ts'

const traceOf = (n: number, bytes = 10): HotTrace => ({
  decision: loggedOn(traceIdOf(n)).decision,
  logId: 'log',
  partition: 0,
  offset: n,
  spans: emptyPack,
  bodies: [{ ref: `0:${n}:0`, bytes: new Uint8Array(bytes) }],
})

function putting(bytesMax: number) {
  const puts: number[][] = []
  const sleeps: { readonly ms: number; readonly end: () => void }[] = []
  let failure: Error | undefined
  const hot = {
    put: async (traces: readonly HotTrace[]) => {
      puts.push(traces.map(({ offset }) => offset))
      if (failure !== undefined) throw failure
    },
  } as HotStore
  const clock: StageClock = {
    nowMs: () => 0,
    sleep: (ms, signal) =>
      new Promise(resolve => {
        sleeps.push({ ms, end: resolve })
        signal?.addEventListener('abort', () => resolve())
      }),
  }
  const fail = (error: Error | undefined): void => {
    failure = error
  }
  return { hotPuts: new HotPuts(hot, clock, bytesMax), puts, sleeps, fail }
}

test('what comes within the time is one put, what comes later the next', async () => {
  const { hotPuts, puts, sleeps } = putting(1_000)
  const both = Promise.all([hotPuts.put([traceOf(1), traceOf(2)]), hotPuts.put([traceOf(3)])])
  await setImmediate()
  expect(puts).toEqual([])
  expect(sleeps.map(({ ms }) => ms)).toEqual([hotGatherMs])
  sleeps[0]?.end()
  await both
  const later = hotPuts.put([traceOf(4)])
  sleeps[1]?.end()
  await later
  expect(puts).toEqual([[1, 2, 3], [4]])
})

test('enough bytes are put at once, one less waits', async () => {
  const { hotPuts, puts } = putting(30)
  const first = hotPuts.put([traceOf(1, 29)])
  await setImmediate()
  expect(puts).toEqual([])
  await Promise.all([first, hotPuts.put([traceOf(2, 1)])])
  expect(puts).toEqual([[1, 2]])
})

test('enough traces are put at once, one less waits', async () => {
  const { hotPuts, puts } = putting(1_000_000)
  const traces = Array.from({ length: hotGatherTraces }, (_, n) => traceOf(n))
  const first = hotPuts.put(traces.slice(1))
  await setImmediate()
  expect(puts).toEqual([])
  await Promise.all([first, hotPuts.put(traces.slice(0, 1))])
  expect(puts.map(put => put.length)).toEqual([hotGatherTraces])
})

test('a refusal is everybody’s who came with it, and the next put is asked anew', async () => {
  const { hotPuts, puts, sleeps, fail } = putting(1_000)
  fail(new PipelineError('STORE_UNAVAILABLE', 'away'))
  const both = [hotPuts.put([traceOf(1)]), hotPuts.put([traceOf(2)])]
  sleeps[0]?.end()
  for (const put of both) await expect(put).rejects.toThrow(/STORE_UNAVAILABLE/)
  fail(undefined)
  const again = hotPuts.put([traceOf(1)])
  sleeps[1]?.end()
  await again
  expect(puts).toEqual([[1, 2], [1]])
})
