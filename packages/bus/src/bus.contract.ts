import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import type { Batch, Bus, BusRecord, Lease, Membership, NewRecord, RangeRead } from './bus.ts'
import { headerBytesMax, noteBytesMax, rangesMax } from './bus.ts'
import type { TopicSpec } from './topics.ts'

/** How an adapter is put through the suite. Tests whose hook is missing do not exist for it. */
export interface BusHarness {
  /** A bus on which exactly these topics exist, new and empty. Every test brings names of its own. */
  readonly open: (specs: readonly TopicSpec[]) => Promise<Bus>
  /** The bus of a second process on the same log. Absent: one bus serves both members. */
  readonly second?: (bus: Bus) => Promise<Bus>
  /** What the next process finds when this one was killed now, without a farewell. */
  readonly reopen?: (bus: Bus) => Promise<Bus>
  /** Lets retention pass everything that the partition holds now. */
  readonly expire?: (bus: Bus, topic: string, partition: number) => Promise<void>
  /** Deletes the topic with all it held and makes it again. */
  readonly recreate?: (bus: Bus, spec: TopicSpec) => Promise<Bus>
  /** Compacts a keyed topic now, where that can be asked for. */
  readonly compact?: (bus: Bus, topic: string) => Promise<void>
  /** One test at most; a Kafka rebalance takes seconds. */
  readonly timeoutMs?: number
}

const partitions = 4
const hourMs = 3_600_000
/** Far above what a read needs, far below a test's time: who waits this long was not woken. */
const longWaitMs = 600_000
const shortWaitMs = 40

/** Every adapter of the bus passes exactly these tests; each promise in `bus.ts` has one. */
export function busContract(name: string, harness: BusHarness): void {
  const suite: Suite = {
    harness,
    fact: (title, run) =>
      test(`${name}: ${title}`, { timeout: harness.timeoutMs ?? 20_000 }, () => run()),
    open: async (...specs) => {
      const used = specs.length === 0 ? [spec()] : specs
      const bus = await harness.open(used)
      closeAtEnd(bus)
      return { bus, topic: (used[0] as TopicSpec).name }
    },
  }
  appendTests(suite)
  readTests(suite)
  fetchTests(suite)
  rangeTests(suite)
  leaseTests(suite)
  commitTests(suite)
  memberTests(suite)
  endingTests(suite)
  retentionTests(suite)
  identityTests(suite)
}

interface Suite {
  readonly harness: BusHarness
  readonly fact: (title: string, run: () => Promise<void>) => void
  readonly open: (...specs: TopicSpec[]) => Promise<{ bus: Bus; topic: string }>
}

function appendTests({ fact, open }: Suite): void {
  fact('reads what was appended, in order and without holes', async () => {
    const { bus, topic } = await open()
    const a = await bus.append(topic, 0, records('a', 'b'))
    const c = await bus.append(topic, 0, records('c'))
    expect([a, c]).toEqual([0, 2])
    const seen = await readAll(bus, topic, 0, 3)
    expect(seen.map(text)).toEqual(['a', 'b', 'c'])
    expect(seen.map(record => record.offset)).toEqual([0, 1, 2])
  })

  fact('keeps partitions apart', async () => {
    const { bus, topic } = await open()
    for (let p = 0; p < partitions; p++) await bus.append(topic, p, records(`p${p}`, `q${p}`))
    for (let p = 0; p < partitions; p++) {
      expect((await readAll(bus, topic, p, 2)).map(text)).toEqual([`p${p}`, `q${p}`])
    }
  })

  fact('gives back key and header; absent stays absent, empty stays empty', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, [
      { value: bytes('v'), key: bytes('k'), header: bytes('h') },
      { value: bytes('only a value') },
      { value: bytes('') },
      { value: bytes('v'), key: bytes('k') },
      { value: bytes('v'), header: bytes('h') },
    ])
    const plain = (await readAll(bus, topic, 0, 5)).map(record => [
      record.key && Buffer.from(record.key).toString(),
      record.header && Buffer.from(record.header).toString(),
      text(record),
    ])
    expect(plain).toEqual([
      ['k', 'h', 'v'],
      [undefined, undefined, 'only a value'],
      [undefined, undefined, ''],
      ['k', undefined, 'v'],
      [undefined, 'h', 'v'],
    ])
  })

  fact('every byte of a record of 1 MiB comes back', async () => {
    const { bus, topic } = await open()
    const value = new Uint8Array(1 << 20).map((_, at) => (at * 31 + (at >> 8)) & 0xff)
    const offset = await bus.append(topic, 1, [{ value }])
    expect(Buffer.compare((await bus.fetch(topic, 1, offset)).value, value)).toBe(0)
  })

  fact('a batch lies together although others append at the same time', async () => {
    const { bus, topic } = await open()
    const sizes = Array.from({ length: 40 }, (_, batch) => 1 + (batch % 5))
    const firsts = await Promise.all(
      sizes.map((size, batch) =>
        bus.append(topic, 0, records(...Array.from({ length: size }, (_, at) => `${batch}.${at}`))),
      ),
    )
    const total = sizes.reduce((sum, size) => sum + size)
    const all = (await readAll(bus, topic, 0, total)).map(text)
    sizes.forEach((size, batch) => {
      const first = firsts[batch] as number
      const expected = Array.from({ length: size }, (_, at) => `${batch}.${at}`)
      expect(all.slice(first, first + size)).toEqual(expected)
    })
  })

  fact('values may be reused once the append has resolved', async () => {
    const { bus, topic } = await open()
    const value = bytes('first')
    await bus.append(topic, 0, [{ value, key: value, header: value }])
    value.fill(0)
    const [record] = await readAll(bus, topic, 0, 1)
    expect([record?.value, record?.key, record?.header].map(part => String(part))).toEqual(
      Array.from({ length: 3 }, () => String(bytes('first'))),
    )
  })

  fact('append time never runs backwards in a partition', async () => {
    const { bus, topic } = await open()
    for (let at = 0; at < 5; at++) await bus.append(topic, 0, records(`${at}`, `${at}'`))
    const times = (await readAll(bus, topic, 0, 10)).map(record => record.appendedAtMs)
    expect(times.every(Number.isSafeInteger)).toBe(true)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })

  fact('takes a header at its limit and refuses one byte more, and its batch', async () => {
    const { bus, topic } = await open()
    const header = new Uint8Array(headerBytesMax).fill(7)
    const first = await bus.append(topic, 0, [{ value: bytes('v'), header }])
    expect((await bus.fetch(topic, 0, first)).header?.length).toBe(headerBytesMax)
    const over = { value: bytes('v'), header: new Uint8Array(headerBytesMax + 1) }
    await expect(bus.append(topic, 0, [{ value: bytes('w') }, over])).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
    })
    expect((await bus.bounds(topic, 0)).end).toBe(1)
  })

  fact('refuses a topic and a partition that do not exist, and a batch of nothing', async () => {
    const { bus, topic } = await open()
    const invalid = { code: 'CONFIG_INVALID' }
    await expect(bus.append(`${topic}.x`, 0, records('a'))).rejects.toMatchObject(invalid)
    await expect(bus.append(topic, partitions, records('a'))).rejects.toMatchObject(invalid)
    await expect(bus.append(topic, -1, records('a'))).rejects.toMatchObject(invalid)
    await expect(bus.append(topic, 0, [])).rejects.toMatchObject(invalid)
    await expect(bus.fetch(topic, partitions, 0)).rejects.toMatchObject(invalid)
    await expect(bus.bounds(`${topic}.x`, 0)).rejects.toMatchObject(invalid)
  })
}

function readTests({ fact, open }: Suite): void {
  fact('reads from any offset without a group', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 2, records('a', 'b', 'c', 'd'))
    for (let from = 0; from < 4; from++) {
      const seen = await readAll(bus, topic, 2, 4 - from, from)
      expect(seen.map(text)).toEqual(['a', 'b', 'c', 'd'].slice(from))
    }
  })

  fact('a read at the end waits and is woken by an append', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a'))
    const waiting = bus.read(topic, 0, 1, 1 << 20, longWaitMs)
    await pause(shortWaitMs)
    await bus.append(topic, 0, records('b'))
    expect((await waiting).records.map(text)).toEqual(['b'])
  })

  fact('a read at the end returns nothing after its wait', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a'))
    const batch = await bus.read(topic, 0, 1, 1 << 20, shortWaitMs)
    expect(batch.records).toEqual([])
    expect(batch.gap).toBeUndefined()
  })

  fact('a read beyond the end is refused as OFFSET_AHEAD', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a'))
    const ahead = bus.read(topic, 0, 2, 1 << 20, shortWaitMs)
    await expect(ahead).rejects.toMatchObject({ code: 'OFFSET_AHEAD' })
  })

  fact(
    'an append to one partition does not wake the readers of another with its record',
    async () => {
      const { bus, topic } = await open()
      const waiting = bus.read(topic, 1, 0, 1 << 20, longWaitMs)
      await bus.append(topic, 0, records('other'))
      await bus.append(topic, 1, records('mine'))
      expect((await waiting).records.map(text)).toEqual(['mine'])
    },
  )

  fact('the values of a batch stay within bytesMax, but one record always comes', async () => {
    const { bus, topic } = await open()
    await bus.append(
      topic,
      0,
      [10, 10, 10, 50, 5].map(size => ({ value: new Uint8Array(size) })),
    )
    const sizes = async (from: number, bytesMax: number): Promise<number[]> =>
      (await bus.read(topic, 0, from, bytesMax, 5000)).records.map(record => record.value.length)
    expect(await sizes(0, 20)).toEqual([10, 10])
    expect(await sizes(0, 19)).toEqual([10])
    expect(await sizes(3, 1)).toEqual([50])
    expect(await sizes(4, 5)).toEqual([5])
  })

  fact('a batch stays intact while more is appended', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('before'))
    const batch = await bus.read(topic, 0, 0, 1 << 20, 5000)
    for (let at = 0; at < 20; at++) await bus.append(topic, 0, records(`after ${at}`))
    expect(batch.records.map(text)).toEqual(['before'])
  })

  fact('readers of one partition do not disturb each other', async () => {
    const { bus, topic } = await open()
    const names = Array.from({ length: 30 }, (_, at) => `record ${at}`)
    await bus.append(topic, 0, records(...names))
    const all = await Promise.all(
      Array.from({ length: 4 }, () => readAll(bus, topic, 0, names.length, 0, 20)),
    )
    for (const seen of all) expect(seen.map(text)).toEqual(names)
  })
}

function fetchTests({ fact, open }: Suite): void {
  fact('fetches any record again by its offset', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, [{ value: bytes('a'), key: bytes('k'), header: bytes('h') }])
    await bus.append(topic, 0, records('b', 'c'))
    for (const [offset, name] of [...'abc'].entries()) {
      const record = await bus.fetch(topic, 0, offset)
      expect([record.offset, text(record)]).toEqual([offset, name])
    }
    const [read] = await readAll(bus, topic, 0, 1)
    const fetched = await bus.fetch(topic, 0, 0)
    expect(fetched.appendedAtMs).toBe(read?.appendedAtMs)
    expect([fetched.key, fetched.header].map(part => part && String(bytes(part)))).toEqual(
      [bytes('k'), bytes('h')].map(part => String(part)),
    )
  })

  fact('says OFFSET_AHEAD for a record that is not yet written', async () => {
    const { bus, topic } = await open()
    await expect(bus.fetch(topic, 0, 0)).rejects.toMatchObject({ code: 'OFFSET_AHEAD' })
    await bus.append(topic, 0, records('a'))
    await expect(bus.fetch(topic, 0, 1)).rejects.toMatchObject({ code: 'OFFSET_AHEAD' })
    await expect(bus.fetch(topic, 0, 99)).rejects.toMatchObject({ code: 'OFFSET_AHEAD' })
  })

  fact('says where a partition begins and ends', async () => {
    const { bus, topic } = await open()
    expect(await bus.bounds(topic, 3)).toEqual({ first: 0, end: 0 })
    await bus.append(topic, 3, records('a', 'b'))
    expect(await bus.bounds(topic, 3)).toEqual({ first: 0, end: 2 })
    expect(await bus.bounds(topic, 2)).toEqual({ first: 0, end: 0 })
  })
}

function rangeTests({ fact, open }: Suite): void {
  fact(
    'gives stretches of values in the order asked, of young records and of old ones',
    async () => {
      const { bus, topic } = await open()
      await bus.append(topic, 1, [
        { value: bytes('abcdef'), header: bytes('h'), key: bytes('k') },
        { value: bytes('ghijkl') },
      ])
      const ranges = [
        { offset: 1, start: 4, length: 2 },
        { offset: 0, start: 0, length: 3 },
        { offset: 0, start: 2, length: 1 },
        { offset: 1, start: 0, length: 0 },
        { offset: 1, start: 0, length: 6 },
      ]
      const reads = await bus.fetchRanges(topic, 1, ranges)
      await bus.append(topic, 1, records('other bytes'))
      expect(reads.map(rangeText)).toEqual(['kl', 'abc', 'c', '', 'ghijkl'])
      expect(await bus.fetchRanges(topic, 1, [])).toEqual([])
    },
  )

  fact('says of each stretch by itself why it can never be read', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('abc'))
    const ranges = [
      { offset: 0, start: 0, length: 4 },
      { offset: 1, start: 0, length: 1 },
      { offset: 0, start: 1, length: 2 },
      { offset: 0, start: -1, length: 1 },
      { offset: 0, start: 0, length: Number.NaN },
    ]
    const reads = await bus.fetchRanges(topic, 0, ranges)
    const corrupt = 'DATA_CORRUPT'
    expect(reads.map(rangeText)).toEqual([corrupt, 'OFFSET_AHEAD', 'bc', corrupt, corrupt])
  })

  fact('takes as many stretches as its limit, and not one more', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('abc'))
    const most = Array.from({ length: rangesMax }, () => ({ offset: 0, start: 1, length: 1 }))
    const reads = await bus.fetchRanges(topic, 0, most)
    expect(reads.every(read => rangeText(read) === 'b')).toBe(true)
    const invalid = { code: 'CONFIG_INVALID' }
    const more = [...most, { offset: 0, start: 0, length: 1 }]
    await expect(bus.fetchRanges(topic, 0, more)).rejects.toMatchObject(invalid)
    await expect(bus.fetchRanges(topic, partitions, [])).rejects.toMatchObject(invalid)
  })
}

function rangeText(read: RangeRead): string {
  return read instanceof Uint8Array ? Buffer.from(read).toString() : read.code
}

function leaseTests({ fact, open }: Suite): void {
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

function commitTests({ fact, open }: Suite): void {
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

function memberTests({ fact, open, harness }: Suite): void {
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

function endingTests({ fact, open }: Suite): void {
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

function retentionTests({ fact, open, harness }: Suite): void {
  const { expire, compact } = harness
  if (expire !== undefined) {
    fact('tells a record that retention has passed from one not yet written', async () => {
      const { bus, topic } = await open()
      await bus.append(topic, 0, records('a', 'b', 'c'))
      await expire(bus, topic, 0)
      await bus.append(topic, 0, records('d'))
      expect(await bus.bounds(topic, 0)).toEqual({ first: 3, end: 4 })
      await expect(bus.fetch(topic, 0, 2)).rejects.toMatchObject({ code: 'OFFSET_GONE' })
      const reads = await bus.fetchRanges(topic, 0, [
        { offset: 2, start: 0, length: 1 },
        { offset: 3, start: 0, length: 1 },
      ])
      expect(reads.map(rangeText)).toEqual(['OFFSET_GONE', 'd'])
      await expect(bus.fetch(topic, 0, 4)).rejects.toMatchObject({ code: 'OFFSET_AHEAD' })
      expect(text(await bus.fetch(topic, 0, 3))).toBe('d')
    })

    fact('a read before the first retained record starts there and says the gap', async () => {
      const { bus, topic } = await open()
      await bus.append(topic, 0, records('a', 'b', 'c'))
      await expire(bus, topic, 0)
      await bus.append(topic, 0, records('d'))
      const batch = await bus.read(topic, 0, 1, 1 << 20, 5000)
      expect(batch.gap).toEqual({ from: 1, to: 3 })
      expect(batch.records.map(text)).toEqual(['d'])
      expect((await bus.read(topic, 0, 3, 1 << 20, 5000)).gap).toBeUndefined()
    })

    fact('a lease whose committed position is gone says the gap, once', async () => {
      const { bus, topic } = await open()
      await bus.append(topic, 0, records('a', 'b', 'c'))
      await withLease(bus, topic, 'g', lease => lease.commit({ offset: 1, note: 'n' }))
      await expire(bus, topic, 0)
      await bus.append(topic, 0, records('d', 'e'))
      await withLease(bus, topic, 'g', async lease => {
        expect(lease.committed).toEqual({ offset: 1, note: 'n' })
        const batch = await lease.read(1, 5000)
        expect(batch.gap).toEqual({ from: 1, to: 3 })
        expect(batch.records.map(text)).toEqual(['d'])
        const next = await lease.read(1 << 20, 5000)
        expect(next.gap).toBeUndefined()
        expect(next.records.map(text)).toEqual(['e'])
      })
    })

    fact(
      'a group without a position starts at the first retained record, without a gap',
      async () => {
        const { bus, topic } = await open()
        await bus.append(topic, 0, records('a', 'b'))
        await expire(bus, topic, 0)
        await bus.append(topic, 0, records('c'))
        await withLease(bus, topic, 'g', async lease => {
          const batch = await lease.read(1 << 20, 5000)
          expect(batch.gap).toBeUndefined()
          expect(batch.records.map(text)).toEqual(['c'])
        })
      },
    )
  }

  fact('a keyed topic keeps the last record of every key readable', async () => {
    const { bus, topic } = await open({ ...spec(), retentionMs: 0, keyed: true })
    const put = (key: string, value: string): Promise<number> =>
      bus.append(topic, 0, [{ key: bytes(key), value: bytes(value) }])
    for (let round = 0; round < 5; round++) {
      await put('a', `a${round}`)
      if (round < 3) await put('b', `b${round}`)
    }
    await compact?.(bus, topic)
    await put('c', 'c0')
    await compact?.(bus, topic)
    const last = new Map<string, string>()
    const { first, end } = await bus.bounds(topic, 0)
    expect(end).toBe(9)
    for (let from = first; from < end; ) {
      const batch = await bus.read(topic, 0, from, 1 << 20, 5000)
      expect(batch.gap).toBeUndefined()
      for (const record of batch.records) {
        expect(record.offset).toBeGreaterThanOrEqual(from)
        last.set(Buffer.from(record.key ?? '').toString(), text(record))
        from = record.offset + 1
      }
    }
    expect(Object.fromEntries(last)).toEqual({ a: 'a4', b: 'b2', c: 'c0' })
    expect(text(await bus.fetch(topic, 0, 7))).toBe('a4')
  })

  fact('a keyed topic refuses a record without a key', async () => {
    const { bus, topic } = await open({ ...spec(), retentionMs: 0, keyed: true })
    await expect(bus.append(topic, 0, records('a'))).rejects.toMatchObject({
      code: 'PAYLOAD_INVALID',
    })
  })
}

function identityTests({ fact, open, harness }: Suite): void {
  const { reopen, recreate } = harness

  fact('says how many partitions a topic has', async () => {
    const { bus, topic } = await open()
    expect(await bus.partitionCount(topic)).toBe(partitions)
  })

  fact('a topic has one log id, and every topic its own', async () => {
    const [a, b] = [spec(), spec()]
    const { bus } = await open(a, b)
    const id = await bus.logId(a.name)
    expect(id).toMatch(/^[\w.-]+$/)
    await bus.append(a.name, 0, records('a'))
    expect(await bus.logId(a.name)).toBe(id)
    expect(await bus.logId(b.name)).not.toBe(id)
  })

  if (recreate !== undefined) {
    fact('a topic made again is another log: other id, no records, no positions', async () => {
      const topic = spec()
      const { bus } = await open(topic)
      await bus.append(topic.name, 0, records('a'))
      await withLease(bus, topic.name, 'g', lease => lease.commit({ offset: 1, note: 'old' }))
      const id = await bus.logId(topic.name)
      const again = await recreate(bus, topic)
      closeAtEnd(again)
      expect(await again.logId(topic.name)).not.toBe(id)
      expect(await again.bounds(topic.name, 0)).toEqual({ first: 0, end: 0 })
      expect(await again.committed(topic.name, 'g', 0)).toBeUndefined()
    })
  }

  if (reopen !== undefined) {
    fact('what was acknowledged survives the process: records, positions, log id', async () => {
      const { bus, topic } = await open()
      const id = await bus.logId(topic)
      await bus.append(topic, 0, [{ value: bytes('a'), key: bytes('k'), header: bytes('h') }])
      await bus.append(topic, 1, records('b', 'c'))
      await withLease(bus, topic, 'g', lease => lease.commit({ offset: 1, note: 'noted' }))
      const before = await readAll(bus, topic, 0, 1)
      const next = await reopen(bus)
      closeAtEnd(next)
      expect(await next.logId(topic)).toBe(id)
      expect(await next.committed(topic, 'g', 0)).toEqual({ offset: 1, note: 'noted' })
      const after = await readAll(next, topic, 0, 1)
      expect(after.map(plain)).toEqual(before.map(plain))
      expect((await readAll(next, topic, 1, 2)).map(text)).toEqual(['b', 'c'])
      expect(await next.append(topic, 1, records('d'))).toBe(2)
      expect((await readAll(next, topic, 1, 3)).map(text)).toEqual(['b', 'c', 'd'])
    })
  }
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

/** Runs `use` with the lease of partition 0, then leaves. A failed membership fails the test. */
async function withLease(
  bus: Bus,
  topic: string,
  group: string,
  use: (lease: Lease) => Promise<void>,
): Promise<void> {
  const done = Promise.withResolvers<void>()
  let isUsed = false
  const membership = bus.join(topic, group, async lease => {
    if (lease.partition !== 0 || isUsed) return
    isUsed = true
    await use(lease).then(done.resolve, done.reject)
  })
  await Promise.race([done.promise, membership.failed]).finally(() => membership.close())
}

async function readLease(lease: Lease, count: number): Promise<BusRecord[]> {
  return collect(count, () => lease.read(1 << 20, 5000))
}

async function readAll(
  bus: Bus,
  topic: string,
  partition: number,
  count: number,
  from = 0,
  bytesMax = 1 << 20,
): Promise<BusRecord[]> {
  let next = from
  return collect(count, async () => {
    const batch = await bus.read(topic, partition, next, bytesMax, 5000)
    next = (batch.records.at(-1)?.offset ?? next - 1) + 1
    return batch
  })
}

/** Copies what it collects: a value is borrowed only until the next read. */
async function collect(count: number, read: () => Promise<Batch>): Promise<BusRecord[]> {
  const seen: BusRecord[] = []
  while (seen.length < count) {
    const batch = await read()
    expect(batch.records.length, 'a record that exists is returned in time').toBeGreaterThan(0)
    for (const record of batch.records) {
      seen.push({
        ...record,
        value: bytes(record.value),
        ...(record.key && { key: bytes(record.key) }),
        ...(record.header && { header: bytes(record.header) }),
      })
    }
  }
  return seen
}

/** Waits for a condition that a rebalance brings about; the test's own timeout is the limit. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5)
}

function spec(): TopicSpec {
  const name = `contract.${randomUUID().slice(0, 13)}.1`
  return { name, partitions, retentionMs: hourMs, keyed: false }
}

function closeAtEnd(bus: Bus): void {
  onTestFinished(() => bus.close())
}

const bytes = (from: string | Uint8Array): Uint8Array =>
  Uint8Array.from(typeof from === 'string' ? Buffer.from(from) : from)

const records = (...texts: string[]): NewRecord[] => texts.map(value => ({ value: bytes(value) }))

const text = (record: BusRecord): string => Buffer.from(record.value).toString()

const plain = (record: BusRecord): unknown[] => [
  record.offset,
  record.appendedAtMs,
  text(record),
  record.key && String(record.key),
  record.header && String(record.header),
]

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
