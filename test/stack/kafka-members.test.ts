import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import process from 'node:process'
import type { Bus, Lease, Membership } from '@winnow/bus'
import { expect, onTestFinished, test } from 'vitest'
import { newSpec, openBus } from './kafka/clients.ts'
import { sharedKafka } from './kafka/shared.ts'

const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5)
}

/** Watches every record being handed to a fold, by whom, and every lease. */
class Folds {
  readonly leases: { readonly who: string; readonly lease: Lease }[] = []
  readonly handed: string[] = []
  readonly committed: string[] = []
  readonly refused: unknown[] = []

  join(bus: Bus, topic: string, who: string): Membership {
    const membership = bus.join(topic, 'g', async lease => {
      this.leases.push({ who, lease })
      for (let next = lease.committed?.offset ?? 0; !lease.lost.aborted; ) {
        const { records } = await lease.read(200, 50)
        const first = records[0]
        if (first === undefined) continue
        // Never to a former owner while there is a new one.
        const here = this.leases.filter(one => one.lease.partition === lease.partition)
        expect(here.at(-1)?.lease).toBe(lease)
        // In order and without a hole, from where the former owner had committed.
        expect(first.offset).toBe(next)
        next = (records.at(-1)?.offset ?? next) + 1
        const names = records.map(record => `${lease.partition}/${record.offset}`)
        this.handed.push(...names)
        await this.#commit(lease, next, names)
      }
    })
    onTestFinished(() => membership.close())
    return membership
  }

  owners(partitions: number): (string | undefined)[] {
    return Array.from({ length: partitions }, (_, partition) => {
      const mine = this.leases.filter(one => one.lease.partition === partition)
      const live = mine.filter(one => !one.lease.lost.aborted)
      return live.length === 1 ? live[0]?.who : undefined
    })
  }

  /** Asks again for as long as the answer is neither yes nor no. */
  async #commit(lease: Lease, offset: number, names: readonly string[]): Promise<void> {
    for (;;) {
      try {
        await lease.commit({ offset, note: '' })
        this.committed.push(...names)
        return
      } catch (error) {
        const code = Reflect.get(Object(error), 'code')
        if (code !== 'BUS_UNAVAILABLE') {
          this.refused.push(code)
          return
        }
        await pause(20)
      }
    }
  }
}

fact('members come and go under load: every record is committed once, by its owner', async () => {
  const spec = newSpec(4)
  const [one, two, three] = [
    await openBus(broker, [spec]),
    await openBus(broker, [spec]),
    await openBus(broker, [spec]),
  ]
  for (const bus of [one, two, three]) onTestFinished(() => bus.close())
  const folds = new Folds()
  const stop = new AbortController()
  let appended = 0
  const writer = (async () => {
    while (!stop.signal.aborted) {
      for (let p = 0; p < 4; p++) await one.append(spec.name, p, [{ value: Buffer.alloc(100) }])
      appended += 4
    }
  })()
  const owned = (names: readonly string[]) => (): boolean => {
    const owners = folds.owners(4)
    return owners.every(owner => owner !== undefined) && names.every(name => owners.includes(name))
  }
  const first = folds.join(one, spec.name, 'one')
  await until(owned(['one']))
  folds.join(two, spec.name, 'two')
  await until(owned(['one', 'two']))
  const third = folds.join(three, spec.name, 'three')
  await until(owned(['one', 'two', 'three']))
  await third.close()
  await until(owned(['one', 'two']))
  await first.close()
  await until(owned(['two']))
  stop.abort()
  await writer
  await until(() => new Set(folds.committed).size === appended)
  expect(folds.committed.length).toBe(appended)
  expect(folds.refused.every(code => code === 'STALE_OWNER')).toBe(true)
  // Handed out twice is only what an owner had in hand, uncommitted, when it lost the partition.
  const twice = folds.handed.length - new Set(folds.handed).size
  expect(twice).toBeLessThanOrEqual(2 * folds.leases.length)
  for (let p = 0; p < 4; p++) {
    expect((await two.committed(spec.name, 'g', p))?.offset).toBe(appended / 4)
  }
})

fact('a member that stays keeps its leases of partitions that stay', async () => {
  const spec = newSpec(4)
  const [one, two] = [
    await openBus(broker, [spec], { instanceId: 'a' }),
    await openBus(broker, [spec], { instanceId: 'b' }),
  ]
  for (const bus of [one, two]) onTestFinished(() => bus.close())
  const folds = new Folds()
  folds.join(one, spec.name, 'one')
  await until(() => folds.owners(4).every(owner => owner === 'one'))
  const before = folds.leases.map(({ lease }) => lease)
  folds.join(two, spec.name, 'two')
  await until(() => folds.owners(4).join() === 'one,two,one,two')
  const lost = before.filter(lease => lease.lost.aborted).map(lease => lease.partition)
  expect(lost.toSorted()).toEqual([1, 3])
  await before.find(lease => lease.partition === 0)?.commit({ offset: 0, note: 'still mine' })
  expect(await two.committed(spec.name, 'g', 0)).toEqual({ offset: 0, note: 'still mine' })
  for (const lease of before.filter(one_ => one_.lost.aborted)) {
    const stolen = lease.commit({ offset: 0, note: 'stolen' })
    await expect(stolen).rejects.toMatchObject({ code: 'STALE_OWNER' })
  }
})

fact(
  'the partitions of a killed process are folded by another once its session is over',
  async () => {
    const spec = newSpec(4)
    const bus = await openBus(broker, [spec])
    onTestFinished(() => bus.close())
    const script = join(import.meta.dirname, 'kafka', 'member.ts')
    const command = [script, broker, JSON.stringify(spec), 'g']
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
    const theirs: string[] = []
    child.stdout.on('data', data => theirs.push(...String(data).trim().split('\n')))
    await until(() => theirs.length === 4)
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
    const folds = new Folds()
    folds.join(bus, spec.name, 'next')
    await until(() => folds.owners(4).every(owner => owner === 'next'))
    for (let p = 0; p < 4; p++) await bus.append(spec.name, p, [{ value: Buffer.from('a') }])
    await until(() => folds.committed.length === 4)
  },
)
