import { expect } from 'vitest'
import { headerBytesMax, rangesMax } from './bus.ts'
import {
  bytes,
  longWaitMs,
  partitions,
  pause,
  rangeText,
  readAll,
  records,
  type Suite,
  shortWaitMs,
  text,
} from './bus-contract.fixture.ts'
import { reusedMemory } from './read-memory.ts'

export function appendTests({ fact, open }: Suite): void {
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

export function readTests({ fact, open }: Suite): void {
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

  fact('heads, where they are at hand, are those of the next records', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, [
      { value: bytes('a'), key: bytes('k') },
      { value: bytes('bcd'), header: bytes('h') },
      { value: bytes('') },
    ])
    const [, b, c] = await readAll(bus, topic, 0, 3)
    const heads = bus.heads?.(topic, 0, 1) ?? []
    if (heads.length > 0) {
      expect(heads).toEqual([
        { offset: 1, appendedAtMs: b?.appendedAtMs, header: bytes('h'), valueBytes: 3 },
        { offset: 2, appendedAtMs: c?.appendedAtMs, valueBytes: 0 },
      ])
    }
    expect(bus.heads?.(topic, 0, 3) ?? []).toEqual([])
  })

  fact('batches that share memory are right one after the other, others stay intact', async () => {
    const { bus, topic } = await open()
    await bus.append(topic, 0, records('a', 'b', 'c'))
    const memory = reusedMemory()
    const other = await bus.read(topic, 0, 0, 1 << 20, 5000)
    for (const [from, name] of [...'abc'].entries()) {
      const batch = await bus.read(topic, 0, from, 1, 5000, memory)
      expect(batch.records.map(text)).toEqual([name])
    }
    expect(other.records.map(text)).toEqual(['a', 'b', 'c'])
  })
}

export function fetchTests({ fact, open }: Suite): void {
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

export function rangeTests({ fact, open }: Suite): void {
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
