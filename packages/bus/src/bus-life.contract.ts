import { expect } from 'vitest'
import {
  bytes,
  closeAtEnd,
  partitions,
  plain,
  rangeText,
  readAll,
  records,
  type Suite,
  spec,
  text,
  withLease,
} from './bus-contract.fixture.ts'

export function retentionTests({ fact, open, harness }: Suite): void {
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

    fact('a lease without a position is told of what goes before its first read', async () => {
      const { bus, topic } = await open()
      await bus.append(topic, 0, records('a', 'b'))
      await withLease(bus, topic, 'g', async lease => {
        // Long enough for an adapter that has to ask where the log begins.
        await bus.bounds(topic, 0)
        await expire(bus, topic, 0)
        const batch = await lease.read(1 << 20, 5000)
        expect(batch).toEqual({ records: [], gap: { from: 0, to: 2 } })
      })
    })
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

export function identityTests({ fact, open, harness }: Suite): void {
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
