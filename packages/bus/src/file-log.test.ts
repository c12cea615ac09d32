import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Lease } from './bus.ts'
import {
  crashed,
  hourMs,
  manyTurns,
  openBus,
  openHeldBus,
  randomFrom,
  readWhileHeld,
  records,
  spec,
  temporaryFolder,
  textOf,
  textsOf,
} from './file-bus.fixture.ts'
import type { FileBus } from './file-bus.ts'
import { frameHeadBytes } from './file-format.ts'
import { segmentPath } from './segment.ts'

const golden = (name: string): string => join(import.meta.dirname, 'golden', name)
const goldenLogId = '018f4d2e-5b6a-4c3d-9e8f-0a1b2c3d4e5f'

test('appends of one turn of the event loop are one commit', async () => {
  const { bus, folder } = await openBus()
  const path = segmentPath(join(folder, 't'), 1)
  const before = (await stat(path)).size
  await Promise.all([0, 1, 2, 0].map(partition => bus.append('t', partition, records('a'))))
  expect((await stat(path)).size - before).toBe(512)
})

test('a read sees nothing that is not yet synced', async () => {
  const { bus, hold, release } = await openHeldBus()
  await bus.append('t', 0, records('a'))
  hold()
  const appending = bus.append('t', 0, records('b'))
  await manyTurns()
  expect(await bus.bounds('t', 0)).toEqual({ first: 0, end: 1 })
  expect(textsOf(await bus.read('t', 0, 0, 1000, 0))).toEqual(['a'])
  await expect(bus.fetch('t', 0, 1)).rejects.toMatchObject({ code: 'OFFSET_AHEAD' })
  release()
  expect(await appending).toBe(1)
  expect(textsOf(await bus.read('t', 0, 1, 1000, 0))).toEqual(['b'])
})

test('a read that finds nothing has waited for what was stamped before it asked', async () => {
  const held = await openHeldBus()
  expect(await readWhileHeld(held, held.bus)).toEqual({ before: undefined, after: ['b'] })
})

test('any mix of appends, reads, fetches and restarts gives back what was appended', async () => {
  const seed = 48
  const random = randomFrom(seed)
  // Small enough for the ring to go round many times, and for records to be larger than a run.
  const options = {
    logLimits: { segmentBytes: 400_000, commitBytesMax: 130_000, ringBytes: 262_144 },
  }
  let { bus, folder } = await openBus(options)
  const model: Buffer[][] = [[], [], []]
  const check = async (partition: number, from: number): Promise<void> => {
    const expected = model[partition] as Buffer[]
    const bytesMax = random(2) === 0 ? random(2000) : 100_000
    const batch = await bus.read('t', partition, from, bytesMax, 0)
    const sum = batch.records.reduce((bytes, record) => bytes + record.value.length, 0)
    expect(batch.records.length > 0).toBe(from < expected.length)
    expect(batch.records.length <= 1 || sum <= bytesMax, `seed ${seed}`).toBe(true)
    batch.records.forEach((record, at) => {
      expect(record.offset).toBe(from + at)
      expect(expected[from + at]?.equals(record.value), `seed ${seed}, ${partition}/${from}`).toBe(
        true,
      )
    })
  }
  for (let step = 0; step < 400; step++) {
    const appends = Array.from({ length: random(4) }, async () => {
      const partition = random(3)
      const values = Array.from({ length: 1 + random(5) }, () =>
        Buffer.alloc(random(10) === 0 ? random(20_000) : random(300), random(256)),
      )
      const first = await bus.append(
        't',
        partition,
        values.map(value => ({ value })),
      )
      values.forEach((value, at) => {
        ;(model[partition] as Buffer[])[first + at] = value
      })
    })
    await Promise.all(appends)
    const partition = random(3)
    await check(partition, random((model[partition] as Buffer[]).length + 1))
    if (step % 100 === 99) {
      await bus.close()
      ;({ bus, folder } = await openBus({ ...options, folder }))
    }
  }
  for (const [partition, values] of model.entries()) {
    for (let from = 0; from < values.length; from += 1 + random(40)) await check(partition, from)
  }
})

test('a record that no longer is in the ring is read from its file, whole', async () => {
  const { bus } = await openBus({ logLimits: { ringBytes: 32_768, commitBytesMax: 16_384 } })
  const texts = Array.from({ length: 60 }, (_, at) => `${at}`.repeat(500))
  for (const text of texts) await bus.append('t', 0, records(text))
  for (const [offset, text] of texts.entries()) {
    expect(textOf(await bus.fetch('t', 0, offset))).toBe(text)
  }
})

test('takes an append as large as a commit may be, and refuses one byte more', async () => {
  const { bus } = await openBus({ logLimits: { commitBytesMax: 8192, ringBytes: 16_384 } })
  const value = Buffer.alloc(8192 - frameHeadBytes, 'x')
  expect(await bus.append('t', 0, [{ value }])).toBe(0)
  const over = bus.append('t', 0, [{ value: Buffer.alloc(value.length + 1) }])
  await expect(over).rejects.toMatchObject({
    code: 'PAYLOAD_TOO_LARGE',
    message: expect.stringContaining('commitBytesMax is 8192'),
  })
  expect((await bus.fetch('t', 0, 0)).value.length).toBe(value.length)
})

test('stretches of the ring and of the files come in one call, in the order asked', async () => {
  const { bus } = await openBus({ logLimits: { ringBytes: 64 * 1024, commitBytesMax: 16 * 1024 } })
  const texts = Array.from({ length: 40 }, (_, at) => String(at).padStart(4_000, '.'))
  for (const one of texts) await bus.append('t', 0, records(one))
  const offsets = [39, 0, 20, 0, 38, 39, 1]
  const ranges = offsets.map(offset => ({ offset, start: 3_990, length: 10 }))
  const reads = await bus.fetchRanges('t', 0, ranges)
  expect(reads.map(read => Number(String(read).replaceAll('.', '')))).toEqual(offsets)
})

test('takes appends until waitingBytesMax are unanswered, and refuses one more', async () => {
  const frame = 64
  const { bus } = await openBus({ logLimits: { waitingBytesMax: 4 * frame } })
  const value = Buffer.alloc(frame - frameHeadBytes, 'x')
  const taken = Array.from({ length: 4 }, () => bus.append('t', 0, [{ value }]))
  const refused = bus.append('t', 1, [{ value }])
  await expect(refused).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' })
  expect(await Promise.all(taken)).toEqual([0, 1, 2, 3])
  expect(await bus.append('t', 1, [{ value }])).toBe(0)
})

test('limits that contradict each other are refused by name', async () => {
  for (const [logLimits, name] of [
    [{ ringBytes: 8 << 20 }, 'ringBytes'],
    [{ ringBytes: (16 << 20) + 1 }, 'ringBytes'],
    [{ segmentBytes: 2 ** 31 }, 'segmentBytes'],
    [{ segmentAgeMs: -1 }, 'segmentAgeMs'],
  ] as const) {
    await expect(openBus({ logLimits })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(name),
    })
  }
})

test('append time does not run backwards when the clock does, nor after a restart', async () => {
  let nowMs = 5000
  const clock = { nowMs: () => nowMs }
  const { bus, folder } = await openBus({ clock })
  await bus.append('t', 0, records('a'))
  nowMs = 4000
  await bus.append('t', 0, records('b'))
  await bus.append('t', 1, records('other'))
  await bus.close()
  const { bus: again } = await openBus({ clock, folder })
  await again.append('t', 0, records('c'))
  nowMs = 6000
  await again.append('t', 0, records('d'))
  const times = (await again.read('t', 0, 0, 1000, 0)).records.map(record => record.appendedAtMs)
  expect(times).toEqual([5000, 5000, 5000, 6000])
  expect((await again.fetch('t', 1, 0)).appendedAtMs).toBe(4000)
})

/** A bus with a segment for every commit, as retention's grain. */
const grained = { logLimits: { segmentBytes: 1, lagGraceMs: 2 * hourMs } }

async function commitAt(bus: FileBus, group: string, offset: number): Promise<void> {
  const done = Promise.withResolvers<void>()
  const membership = bus.join('t', group, async (lease: Lease) => {
    if (lease.partition === 0)
      await lease.commit({ offset, note: '' }).then(done.resolve, done.reject)
  })
  await done.promise
  await membership.close()
}

test('a record is kept for its retention and not a millisecond longer, once every group has read it', async () => {
  const { bus, clock, events } = await openBus(grained)
  await bus.append('t', 0, records('a'))
  clock.advanceMs(1000)
  await bus.append('t', 0, records('b'))
  await commitAt(bus, 'g', 2)
  clock.advanceMs(hourMs - 1000)
  await bus.sweep()
  expect(await bus.bounds('t', 0)).toEqual({ first: 0, end: 2 })
  clock.advanceMs(1)
  await bus.sweep()
  expect(await bus.bounds('t', 0)).toEqual({ first: 1, end: 2 })
  expect(events).toMatchObject([{ kind: 'expired', topic: 't', cause: 'age' }])
})

test('what a group has not read stays for lagGraceMs more, and not a millisecond longer', async () => {
  const { bus, clock } = await openBus(grained)
  for (const text of ['a', 'b', 'c']) await bus.append('t', 0, records(text))
  await commitAt(bus, 'slow', 1)
  await commitAt(bus, 'fast', 3)
  clock.advanceMs(hourMs + 1)
  await bus.sweep()
  expect(await bus.bounds('t', 0)).toEqual({ first: 1, end: 3 })
  clock.advanceMs(2 * hourMs - 1)
  await bus.sweep()
  expect(await bus.bounds('t', 0)).toEqual({ first: 1, end: 3 })
  clock.advanceMs(1)
  await bus.sweep()
  expect(await bus.bounds('t', 0)).toEqual({ first: 3, end: 3 })
  expect(await bus.append('t', 0, records('d'))).toBe(3)
})

test('a segment is closed at its age, so that a quiet topic expires too', async () => {
  const { bus, clock, folder } = await openBus({ logLimits: { segmentAgeMs: 60_000 } })
  await bus.append('t', 0, records('a'))
  clock.advanceMs(59_999)
  await bus.append('t', 0, records('b'))
  const logs = async (): Promise<number> =>
    (await readdir(join(folder, 't'))).filter(name => name.endsWith('.log')).length
  expect(await logs()).toBe(1)
  clock.advanceMs(1)
  await bus.append('t', 0, records('c'))
  expect(await logs()).toBe(2)
})

test('over logBytesMax the oldest segments go, but none that a group has yet to read', async () => {
  // A segment of one commit is a head and a block: 1024 bytes.
  const { bus, events } = await openBus({
    ...grained,
    logLimits: { ...grained.logLimits, logBytesMax: 4096 },
  })
  for (const text of ['a', 'b', 'c']) await bus.append('t', 0, records(text))
  await commitAt(bus, 'g', 1)
  expect(await bus.append('t', 0, records('d'))).toBe(3)
  expect(await bus.append('t', 0, records('e'))).toBe(4)
  expect((await bus.bounds('t', 0)).first).toBe(1)
  const full = bus.append('t', 0, records('f'))
  await expect(full).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
    message: expect.stringContaining('logBytesMax is 4096'),
  })
  await commitAt(bus, 'g', 5)
  expect(await bus.append('t', 0, records('f'))).toBe(5)
  expect(events.map(event => event.kind)).toEqual(['expired', 'full', 'expired', 'full'])
})

test('a keyed log stays in proportion to its keys, and survives a restart compacted', async () => {
  const keyed = { ...spec, retentionMs: 0, keyed: true }
  const { bus, folder, events } = await openBus({
    specs: [keyed],
    logLimits: { segmentBytes: 4096 },
  })
  for (let round = 0; round < 200; round++) {
    const value = Buffer.from(`${round}`)
    await bus.append('t', round % 2, [{ key: Buffer.from(`k${round % 6}`), value }])
  }
  const bytes = async (): Promise<number> => {
    const names = await readdir(join(folder, 't'))
    const sizes = names.map(async name => (await stat(join(folder, 't', name))).size)
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
  }
  expect(await bytes()).toBeLessThan(24_000)
  expect(events.some(event => event.kind === 'compacted')).toBe(true)
  const { bus: again } = await openBus({ specs: [keyed], folder: await crashed(folder) })
  const last = new Map<string, string>()
  for (const partition of [0, 1]) {
    const { first, end } = await again.bounds('t', partition)
    for (let from = first; from < end; ) {
      const { records: batch } = await again.read('t', partition, from, 1000, 0)
      for (const record of batch) last.set(String(record.key), textOf(record))
      from = (batch.at(-1)?.offset ?? end) + 1
    }
  }
  expect([...last.values()].toSorted()).toEqual(['194', '195', '196', '197', '198', '199'])
})

test('offsets go on after everything before them was deleted and the process restarted', async () => {
  const { bus, clock, folder } = await openBus(grained)
  for (const text of ['a', 'b', 'c']) await bus.append('t', 0, records(text))
  clock.advanceMs(4 * hourMs)
  await bus.sweep()
  await bus.close()
  const { bus: again } = await openBus({ folder })
  expect(await again.bounds('t', 0)).toEqual({ first: 3, end: 3 })
  expect(await again.append('t', 0, records('d'))).toBe(3)
})

test('the format of a segment is the golden file, byte for byte', async () => {
  const nowMs = 1_700_000_000_123
  const { bus, folder } = await openBus({
    clock: { nowMs: () => nowMs },
    newLogId: () => goldenLogId,
  })
  await bus.append('t', 2, [
    { value: Buffer.from('value'), key: Buffer.from('key'), header: Buffer.from('header') },
    { value: Buffer.from('') },
  ])
  await bus.append('t', 0, records('next commit'))
  await bus.close()
  const written = await readFile(segmentPath(join(folder, 't'), 1))
  expect(written.equals(await readFile(golden('segment-v1.bin')))).toBe(true)
})

test('the golden segment is read as it was written', async () => {
  const folder = await temporaryFolder()
  await mkdir(join(folder, 't'))
  await writeFile(segmentPath(join(folder, 't'), 1), await readFile(golden('segment-v1.bin')))
  const { bus } = await openBus({ folder })
  expect(await bus.logId('t')).toBe(goldenLogId)
  const { records: read } = await bus.read('t', 2, 0, 1000, 0)
  expect(
    read.map(({ value, key, header, ...rest }) => [
      `${value}`,
      key && `${key}`,
      header && `${header}`,
      rest,
    ]),
  ).toEqual([
    ['value', 'key', 'header', { offset: 0, appendedAtMs: 1_700_000_000_123 }],
    ['', undefined, undefined, { offset: 1, appendedAtMs: 1_700_000_000_123 }],
  ])
  expect(textOf(await bus.fetch('t', 0, 0))).toBe('next commit')
})
