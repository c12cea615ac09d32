import { expect } from 'vitest'
import { type Bus, type Lease, type Membership, noteBytesMax } from './bus.ts'
import {
  closeAtEnd,
  longWaitMs,
  partitions,
  pause,
  readLease,
  records,
  type Suite,
  shortWaitMs,
  spec,
  text,
  until,
  withLease,
} from './bus-contract.fixture.ts'

export function leaseTests({ fact, open }: Suite): void {
  fact('a group reads every partition from its first record', async () => {
    const { bus, topic } = await open()
    for (let p = 0; p < partitions; p++) await bus.append(topic, p, records(`a${p}`, `b${p}`))
    const seen = new Map<number, string[]>()
    const membership = bus.join(topic, 'g', async lease => {
      const mine: string[] = []
      seen.set(lease.partition, mine)
      while (!lease.lost.aborted) mine.push(...(await lease.read(1 << 20, 1000)).records.map(text))
    })
    await until(() => [...seen.values()].flat().length === 2 * partitions)
    await membership.close()
    for (let p = 0; p < partitions; p++) expect(seen.get(p)).toEqual([`a${p}`, `b${p}`])
  })

  fact('groups read independently of each other', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a', 'b'))
    for (const group of ['g', 'h']) {
      await withLease(bus, topic, group, async lease => {
        expect((await readLease(lease, 2)).map(text)).toEqual(['a', 'b'])
        await lease.commit({ offset: 2, note: group })
      })
    }
    expect(await bus.committed(topic, 'g', 0)).toEqual({ offset: 2, note: 'g' })
    expect(await bus.committed(topic, 'h', 0)).toEqual({ offset: 2, note: 'h' })
  })

  fact('small batches of a lease follow one another without loss or repetition', async () => {
    const { bus, topic } = await open()
    const names = Array.from({ length: 25 }, (_, at) => `${at}`.padStart(4, '0'))
    await bus.append(topic, 0, records(...names))
    await withLease(bus, topic, 'g', async lease => {
      const seen: string[] = []
      while (seen.length < names.length) {
        const batch = await lease.read(12, 5000)
        expect(batch.records.length).toBeLessThanOrEqual(3)
        seen.push(...batch.records.map(text))
      }
      expect(seen).toEqual(names)
    })
  })

  fact('a lease at the end waits and is woken by an append', async () => {
    const { bus, topic } = await open()
    await withLease(bus, topic, 'g', async lease => {
      const waiting = lease.read(1 << 20, longWaitMs)
      await pause(shortWaitMs)
      await bus.append(topic, 0, records('a'))
      expect((await waiting).records.map(text)).toEqual(['a'])
      expect((await lease.read(1 << 20, shortWaitMs)).records).toEqual([])
    })
  })
}

export function commitTests({ fact, open }: Suite): void {
  fact('a new owner starts at the committed position, with its note', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a', 'b', 'c'))
    await withLease(bus, topic, 'g', async lease => {
      expect(lease.committed).toBeUndefined()
      await readLease(lease, 3)
      await lease.commit({ offset: 1, note: 'seen a: ✓' })
    })
    await withLease(bus, topic, 'g', async lease => {
      expect(lease.committed).toEqual({ offset: 1, note: 'seen a: ✓' })
      expect((await readLease(lease, 2)).map(text)).toEqual(['b', 'c'])
    })
  })

  fact('a commit may lie behind what was read and behind an earlier commit', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a', 'b', 'c'))
    await withLease(bus, topic, 'g', async lease => {
      await readLease(lease, 3)
      await lease.commit({ offset: 2, note: 'two' })
      await lease.commit({ offset: 0, note: 'back' })
      expect((await lease.read(1 << 20, shortWaitMs)).records).toEqual([])
    })
    await withLease(bus, topic, 'g', async lease => {
      expect(lease.committed).toEqual({ offset: 0, note: 'back' })
      expect((await readLease(lease, 3)).map(text)).toEqual(['a', 'b', 'c'])
    })
  })

  fact('says what a group has committed, and undefined before it did', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a'))
    expect(await bus.committed(topic, 'g', 0)).toBeUndefined()
    await withLease(bus, topic, 'g', lease => lease.commit({ offset: 1, note: '' }))
    expect(await bus.committed(topic, 'g', 0)).toEqual({ offset: 1, note: '' })
    expect(await bus.committed(topic, 'g', 1)).toBeUndefined()
    expect(await bus.committed(topic, 'h', 0)).toBeUndefined()
  })

  fact('takes a note at its limit in UTF-8 and refuses one byte more', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a'))
    const full = `${'é'.repeat(noteBytesMax / 2 - 1)}xy`
    await withLease(bus, topic, 'g', async lease => {
      await lease.commit({ offset: 1, note: full })
      await expect(lease.commit({ offset: 1, note: `${full}z` })).rejects.toMatchObject({
        code: 'PAYLOAD_TOO_LARGE',
      })
    })
    expect((await bus.committed(topic, 'g', 0))?.note).toBe(full)
  })

  fact('refuses the commit of an owner that lost its partition', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a', 'b'))
    let stale: Lease | undefined
    await withLease(bus, topic, 'g', async lease => {
      stale = lease
      await lease.commit({ offset: 1, note: 'mine' })
    })
    const stolen = stale?.commit({ offset: 2, note: 'stolen' })
    await expect(stolen).rejects.toMatchObject({ code: 'STALE_OWNER' })
    expect(await bus.committed(topic, 'g', 0)).toEqual({ offset: 1, note: 'mine' })
  })

  fact('refuses the commit of a former owner while another one owns the partition', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a', 'b'))
    let stale: Lease | undefined
    await withLease(bus, topic, 'g', async lease => {
      stale = lease
    })
    await withLease(bus, topic, 'g', async lease => {
      await lease.commit({ offset: 2, note: 'new' })
      const stolen = stale?.commit({ offset: 1, note: 'old' })
      await expect(stolen).rejects.toMatchObject({ code: 'STALE_OWNER' })
    })
    expect(await bus.committed(topic, 'g', 0)).toEqual({ offset: 2, note: 'new' })
  })
}

export function memberTests({ fact, open, harness }: Suite): void {
  const secondOf = async (bus: Bus): Promise<Bus> => {
    if (harness.second === undefined) return bus
    const second = await harness.second(bus)
    closeAtEnd(second)
    return second
  }

  fact('two members share the partitions, and each has one owner', async () => {
    const { bus, topic } = await open()
    const owners = new Owners()
    const first = owners.join(bus, topic, 'one')
    await until(() => owners.of(topic).every(owner => owner === 'one'))
    const second = owners.join(await secondOf(bus), topic, 'two')
    await until(() => {
      const now = owners.of(topic)
      return now.includes('one') && now.includes('two') && !now.includes(undefined)
    })
    await Promise.all([first.close(), second.close()])
  })

  fact('equal partitions of two topics meet on one member of equally named groups', async () => {
    const [a, b] = [spec(), spec()]
    const { bus } = await open(a, b)
    const other = await secondOf(bus)
    const owners = new Owners()
    const memberships: Membership[] = []
    for (const [name, member] of [['one', bus] as const, ['two', other] as const]) {
      for (const topic of [a.name, b.name]) memberships.push(owners.join(member, topic, name))
    }
    await until(() => {
      const [left, right] = [owners.of(a.name), owners.of(b.name)]
      const shared = left.includes('one') && left.includes('two')
      return shared && left.every((owner, p) => owner !== undefined && owner === right[p])
    })
    await Promise.all(memberships.map(membership => membership.close()))
  })

  fact('when a member leaves, the other goes on at the committed positions', async () => {
    const { bus, topic } = await open()
    for (let p = 0; p < partitions; p++) await bus.append(topic, p, records(`a${p}`, `b${p}`))
    const folded: string[] = []
    const fold = async (lease: Lease): Promise<void> => {
      while (!lease.lost.aborted) {
        const batch = await lease.read(2, 1000)
        for (const record of batch.records) {
          await lease.commit({ offset: record.offset + 1, note: '' })
          folded.push(text(record))
        }
      }
    }
    const first = bus.join(topic, 'g', fold)
    await until(() => folded.length >= 2 * partitions)
    const other = await secondOf(bus)
    const second = other.join(topic, 'g', fold)
    await first.close()
    for (let p = 0; p < partitions; p++) await bus.append(topic, p, records(`c${p}`))
    const all = Array.from({ length: partitions }, (_, p) => [`a${p}`, `b${p}`, `c${p}`]).flat()
    await until(() => folded.length >= all.length)
    await second.close()
    expect(folded.toSorted()).toEqual(all.toSorted())
  })
}

export function endingTests({ fact, open }: Suite): void {
  fact('close gives the leases back and waits for every fold', async () => {
    const { bus, topic } = await open()
    let running = 0
    let wasLost = 0
    const membership = bus.join(topic, 'g', async lease => {
      running++
      while (!lease.lost.aborted) await lease.read(1 << 20, longWaitMs)
      expect((await lease.read(1 << 20, longWaitMs)).records).toEqual([])
      wasLost++
      await pause(shortWaitMs)
      running--
    })
    await until(() => running === partitions)
    await membership.close()
    expect([running, wasLost]).toEqual([0, partitions])
    await membership.close()
  })

  fact('a fold that throws rejects failed with its error', async () => {
    const { bus, topic } = await open()
    const membership = bus.join(topic, 'g', async lease => {
      if (lease.partition === 1) throw new Error('the fold is broken')
    })
    await expect(membership.failed).rejects.toThrow('the fold is broken')
    await membership.close()
  })

  fact('a fold that ends with STALE_OWNER after its lease was lost has not failed', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a'))
    let ended = false
    let owned = false
    const membership = bus.join(topic, 'g', async lease => {
      if (lease.partition !== 0) return
      owned = true
      while (!lease.lost.aborted) await lease.read(1 << 20, longWaitMs)
      ended = true
      await lease.commit({ offset: 1, note: '' })
    })
    let failed = false
    membership.failed.catch(() => {
      failed = true
    })
    await until(() => owned)
    await membership.close()
    await pause(0)
    expect([ended, failed]).toEqual([true, false])
  })
}

/** Who owns which partition just now, as the folds themselves see it. */
class Owners {
  readonly #held = new Map<string, Map<number, string>>()

  join(bus: Bus, topic: string, name: string): Membership {
    const held = this.#held.get(topic) ?? new Map<number, string>()
    this.#held.set(topic, held)
    return bus.join(topic, 'g', async lease => {
      held.set(lease.partition, name)
      while (!lease.lost.aborted) await lease.read(1 << 20, 1000)
      if (held.get(lease.partition) === name) held.delete(lease.partition)
    })
  }

  of(topic: string): (string | undefined)[] {
    return Array.from({ length: partitions }, (_, p) => this.#held.get(topic)?.get(p))
  }
}
