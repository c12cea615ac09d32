import { type Bus, MemoryBus, type NewRecord } from '@winnow/bus'
import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { AppendWindow, appendBytesInFlightMax, appendBytesMax } from './append-window.ts'

const spec = { name: 't', partitions: 1, retentionMs: 0, keyed: false }
const recordOf = (bytes: number): NewRecord => ({ value: new Uint8Array(bytes) })

function setUp() {
  const memory = new MemoryBus([spec], new ManualClock())
  const sizes: number[][] = []
  const gates: { readonly open: () => void; readonly fail: (error: unknown) => void }[] = []
  const append: Bus['append'] = async (topic, partition, records) => {
    sizes.push(records.map(({ value }) => value.length))
    await new Promise<void>((open, fail) => gates.push({ open, fail }))
    return memory.append(topic, partition, records)
  }
  const bus = new Proxy<Bus>(memory, {
    get: (target, name: keyof Bus) =>
      name === 'append' ? append : (target[name] as () => unknown).bind(target),
  })
  return { memory, sizes, gates, window: new AppendWindow(bus) }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('records are handed over in pieces of appendBytesMax, a larger one alone', async () => {
  const { window, sizes, gates, memory } = setUp()
  const half = appendBytesMax / 2
  const records = [half, half, 1, appendBytesMax + 1, 2].map(recordOf)
  const done = window.append('t', 0, records)
  expect(sizes).toEqual([[half, half], [1], [appendBytesMax + 1], [2]])
  for (const gate of gates) gate.open()
  await done
  expect(await memory.bounds('t', 0)).toEqual({ first: 0, end: 5 })
})

test('no more than appendBytesInFlightMax are handed over before something is answered', async () => {
  const { window, sizes, gates } = setUp()
  const count = appendBytesInFlightMax / appendBytesMax
  const records = Array.from({ length: count + 1 }, () => recordOf(appendBytesMax))
  const done = window.append('t', 0, records)
  expect(sizes).toHaveLength(count)
  gates[0]?.open()
  await turn()
  expect(sizes).toHaveLength(count + 1)
  for (const gate of gates) gate.open()
  await done
})

test('it rejects with the first failure, once nothing of it is under way', async () => {
  const { window, gates } = setUp()
  let settled = false
  const done = window.append('t', 0, [recordOf(appendBytesMax), recordOf(1)]).finally(() => {
    settled = true
  })
  done.catch(() => {})
  gates[0]?.fail(new Error('no broker'))
  await turn()
  expect(settled).toBe(false)
  gates[1]?.open()
  await expect(done).rejects.toThrow('no broker')
})
