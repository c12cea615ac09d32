import type { Lease } from '@winnow/bus'
import { expect, onTestFinished, test } from 'vitest'
import { newSpec, openBus } from './kafka/clients.ts'
import { kafkaForTest } from './kafka/shared.ts'

const mib = 1024 * 1024
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(20)
}

test('a broker killed under load loses no acknowledged record, and callers hardly notice', async ({
  skip,
}) => {
  const kafka = await kafkaForTest(skip, { fresh: true })
  const spec = newSpec(4)
  const bus = await openBus(kafka.broker, [spec])
  onTestFinished(() => bus.close())
  const acknowledged = new Map<string, string>()
  const stop = new AbortController()
  let failures = 0
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let count = 0; !stop.signal.aborted; count++) {
      const partition = (writer + count) % 4
      const value = Buffer.from(`${writer}.${count}.${'x'.repeat(20_000)}`)
      try {
        const offset = await bus.append(spec.name, partition, [{ value }])
        acknowledged.set(`${partition}/${offset}`, `${writer}.${count}`)
      } catch {
        failures++
      }
    }
  })
  await until(() => acknowledged.size > 200)
  await kafka.kill9()
  const before = acknowledged.size
  await pause(500)
  await kafka.restart()
  await until(() => acknowledged.size > before + 200)
  stop.abort()
  await Promise.all(writers)
  expect(failures).toBe(0)
  const stored = new Map<string, string>()
  for (let partition = 0; partition < 4; partition++) {
    const { end } = await bus.bounds(spec.name, partition)
    for (let from = 0; from < end; ) {
      const { records } = await bus.read(spec.name, partition, from, mib, 5_000)
      for (const { offset, value } of records) {
        const name = Buffer.from(value).toString('latin1').split('.', 2).join('.')
        stored.set(`${partition}/${offset}`, name)
        from = offset + 1
      }
    }
  }
  const lost = [...acknowledged].filter(([at, name]) => stored.get(at) !== name)
  expect(lost).toEqual([])
})

test('an outage: appends end as BUS_UNAVAILABLE at their deadline, folds wait, all come back', async ({
  skip,
}) => {
  const kafka = await kafkaForTest(skip, { fresh: true })
  const spec = newSpec(2)
  const limits = { appendWaitMs: 1_000, answerWaitMs: 1_000, queuedBytesMax: 1_000 }
  const bus = await openBus(kafka.broker, [spec], { limits })
  onTestFinished(() => bus.close())
  const leases: Lease[] = []
  const seen: string[] = []
  let emptyBatches = 0
  const membership = bus.join(spec.name, 'g', async lease => {
    leases.push(lease)
    while (!lease.lost.aborted) {
      const { records } = await lease.read(mib, 100)
      if (records.length === 0) emptyBatches++
      seen.push(...records.map(record => String(record.value)))
    }
  })
  onTestFinished(() => membership.close())
  await bus.append(spec.name, 0, [{ value: Buffer.from('before') }])
  await until(() => seen.includes('before'))

  await kafka.kill9()
  const value = Buffer.alloc(400)
  // The third is over `queuedBytesMax` and refused at once, the others at their deadline.
  const during = await Promise.allSettled(
    [0, 0, 1].map(partition => bus.append(spec.name, partition, [{ value }])),
  )
  expect(during.map(one => one.status === 'rejected' && one.reason.code)).toEqual(
    during.map(() => 'BUS_UNAVAILABLE'),
  )
  await expect(bus.bounds(spec.name, 0)).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  const read = bus.read(spec.name, 0, 0, mib, 0)
  await expect(read).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  const commit = leases[0]?.commit({ offset: 1, note: 'during' })
  await expect(commit).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  // No empty batch while nobody knows: a fold would take it for the end of the log.
  const empty = emptyBatches
  await pause(1_000)
  expect(emptyBatches).toBe(empty)

  await kafka.restart()
  let isBack = false
  while (!isBack) {
    const after = bus.append(spec.name, 1, [{ value: Buffer.from('after') }])
    isBack = await after.then(
      () => true,
      () => false,
    )
  }
  await until(() => seen.includes('after'))
  // The same leases: the group was down as a whole, so nobody else can have owned anything.
  expect(leases.map(lease => lease.lost.aborted)).toEqual([false, false])
  const zero = leases.find(lease => lease.partition === 0)
  await expect
    .poll(
      () =>
        zero?.commit({ offset: 1, note: 'after' }).then(
          () => true,
          () => false,
        ),
      {
        timeout: 20_000,
      },
    )
    .toBe(true)
  expect(await bus.committed(spec.name, 'g', 0)).toEqual({ offset: 1, note: 'after' })
})
