import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { NewRecord } from './bus.ts'
import {
  crashed,
  openBus,
  randomFrom,
  records,
  spec,
  temporaryFolder,
  textOf,
  textsOf,
} from './file-bus.fixture.ts'
import type { LogEvent } from './file-bus-events.ts'
import { LogReader } from './log-reader.ts'
import { type LogState, recoverLog } from './log-recovery.ts'
import { Ring } from './ring.ts'
import { segmentPath } from './segment.ts'

const noRing = new Ring(Buffer.alloc(512), 0, 512)

async function recover(folder: string, onEvent: (event: LogEvent) => void): Promise<LogState> {
  return recoverLog({ spec, folder, nowMs: 5, newLogId: () => crypto.randomUUID(), onEvent })
}

async function closeLog(state: LogState): Promise<void> {
  for (const segment of state.segments) await segment.close()
}

/** A log of three commits, the last over two partitions, as bytes of its only segment. */
async function threeCommits(): Promise<{ file: Buffer; lastAt: number }> {
  const { bus, folder } = await openBus()
  await bus.append('t', 0, records('a', 'b'))
  await bus.append('t', 1, records('c'))
  const path = segmentPath(join(folder, 't'), 1)
  const lastAt = (await stat(path)).size
  await Promise.all([bus.append('t', 0, records('d', 'e')), bus.append('t', 1, records('f'))])
  await bus.close()
  return { file: await readFile(path), lastAt }
}

/** What a log holds in a partition, read record by record. */
async function heldIn(state: LogState, partition: number): Promise<string[]> {
  const reader = new LogReader(state, noRing, () => undefined)
  const texts: string[] = []
  for (let offset = 0; offset < reader.endOf(partition); offset++) {
    texts.push(textOf(await reader.fetch(partition, offset)))
  }
  return texts
}

/** The first two commits whole, and of the last a beginning of every partition. */
async function expectTornTail(state: LogState): Promise<void> {
  const [first, second] = [await heldIn(state, 0), await heldIn(state, 1)]
  expect(['a', 'b', 'd', 'e'].slice(0, first.length)).toEqual(first)
  expect(first.length).toBeGreaterThanOrEqual(2)
  expect(['c', 'f'].slice(0, second.length)).toEqual(second)
  expect(second.length).toBeGreaterThanOrEqual(1)
}

test('a last commit cut off at any byte leaves all before it, and the log is whole blocks again', async () => {
  const { file, lastAt } = await threeCommits()
  const folder = await temporaryFolder()
  const path = segmentPath(folder, 1)
  for (let length = lastAt; length <= file.length; length++) {
    await writeFile(path, file.subarray(0, length))
    const state = await recover(folder, event => expect(event.kind).toBe('truncated'))
    await expectTornTail(state)
    expect((await stat(path)).size % 512).toBe(0)
    await closeLog(state)
  }
})

test('a last commit with any byte wrong is cut off at the record that has it', async () => {
  const { file, lastAt } = await threeCommits()
  const folder = await temporaryFolder()
  const path = segmentPath(folder, 1)
  for (let at = lastAt; at < file.length; at++) {
    const broken = Buffer.from(file)
    broken[at] = (broken[at] as number) ^ 0xff
    await writeFile(path, broken)
    const kinds: string[] = []
    const state = await recover(folder, event => kinds.push(event.kind))
    // Padding means nothing, so most of its bytes may be anything.
    if (kinds.length === 0) expect([...state.ends]).toEqual([4, 2, 0])
    else expect(kinds).toEqual(['truncated'])
    await expectTornTail(state)
    await closeLog(state)
    // What was cut off does not come back, and what follows it is legible.
    const again = await recover(folder, event => expect.unreachable(event.kind))
    await expectTornTail(again)
    await closeLog(again)
  }
})

test('a torn write of zeros is cut off: no record was in it', async () => {
  const { file, lastAt } = await threeCommits()
  const folder = await temporaryFolder()
  await writeFile(segmentPath(folder, 1), Buffer.from(file).fill(0, lastAt))
  const events: LogEvent[] = []
  const state = await recover(folder, event => events.push(event))
  expect(events.map(event => event.kind)).toEqual(['truncated'])
  expect([...state.ends]).toEqual([2, 1, 0])
  await closeLog(state)
})

test('bytes lost under a later commit are a gap that readers are told, and no offset is given twice', async () => {
  const { file } = await threeCommits()
  const folder = await temporaryFolder()
  await mkdir(join(folder, 't'))
  const broken = Buffer.from(file)
  // The last byte of 'a', the first record, which was acknowledged long ago.
  broken.write('x', broken.indexOf('a', 512 + 32))
  await writeFile(segmentPath(join(folder, 't'), 1), broken)
  const { bus, events } = await openBus({ folder })
  expect(events).toMatchObject([{ kind: 'lost', topic: 't', position: 512 }])
  expect(await bus.append('t', 0, records('g'))).toBe(4)
  expect(await bus.append('t', 1, records('h'))).toBe(2)
  const batch = await bus.read('t', 0, 1, 1000, 0)
  expect(batch.gap).toEqual({ from: 1, to: 4 })
  expect(textsOf(batch)).toEqual(['g'])
  expect(textsOf(await bus.read('t', 0, 4, 1000, 0))).toEqual(['g'])
  await expect(bus.fetch('t', 0, 1)).rejects.toMatchObject({ code: 'OFFSET_GONE' })
  await bus.close()
  const again = await openBus({ folder })
  expect(again.events).toEqual([])
  expect((await again.bus.read('t', 1, 0, 1000, 0)).gap).toEqual({ from: 0, to: 2 })
})

test('a value that imitates a commit is not taken for one behind a torn write', async () => {
  const { bus, folder } = await openBus()
  await bus.append('t', 0, records('a'))
  const path = segmentPath(join(folder, 't'), 1)
  const stranger = await openBus()
  await stranger.bus.append('t', 0, records('planted'))
  await stranger.bus.close()
  const planted = (await readFile(segmentPath(join(stranger.folder, 't'), 1))).subarray(512)
  // 512 bytes of head, 512 of 'a'; the value begins 32 into its commit, so that `planted` is on a block.
  await bus.append('t', 0, [{ value: Buffer.concat([Buffer.alloc(480), planted]) }])
  await bus.close()
  const file = await readFile(path)
  file[1024 + 40] = 1
  await writeFile(path, file)
  const again = await openBus({ folder })
  expect(again.events.map(event => event.kind)).toEqual(['truncated'])
  expect(await again.bus.bounds('t', 0)).toEqual({ first: 0, end: 1 })
})

test('whatever moment a crash comes at, what was acknowledged is there', {
  timeout: 60_000,
}, async () => {
  const seed = 20_261_121
  const random = randomFrom(seed)
  const { bus, folder } = await openBus({
    logLimits: { segmentBytes: 20_000, commitBytesMax: 3000, ringBytes: 8192 },
  })
  const acknowledged: string[][] = [[], [], []]
  let isDone = false
  const writer = async (name: number): Promise<void> => {
    for (let at = 0; !isDone; at++) {
      const partition = random(3)
      const texts = Array.from({ length: 1 + random(4) }, (_, i) => `${name}.${at}.${i}`)
      const first = await bus.append('t', partition, records(...texts))
      texts.forEach((text, i) => {
        ;(acknowledged[partition] as string[])[first + i] = text
      })
    }
  }
  const writers = [0, 1, 2, 3].map(writer)
  for (let crash = 0; crash < 5; crash++) {
    for (let turns = random(30); turns > 0; turns--) await new Promise(r => setImmediate(r))
    const before = acknowledged.map(texts => [...texts])
    const copy = await openBus({ folder: await crashed(folder) })
    for (const [partition, texts] of before.entries()) {
      for (let offset = 0; offset < texts.length; offset++) {
        const message = `seed ${seed}, crash ${crash}, ${partition}/${offset}`
        // A later acknowledgement may have been told before an earlier one: holes are still to come.
        if (texts[offset] === undefined) continue
        expect(textOf(await copy.bus.fetch('t', partition, offset)), message).toBe(texts[offset])
      }
    }
    await copy.bus.close()
  }
  isDone = true
  await Promise.all(writers)
})

test('a log reads alike with its index files, without them, and with bad ones', async () => {
  const { bus, folder } = await openBus({ logLimits: { segmentBytes: 2000 } })
  for (let at = 0; at < 30; at++) await bus.append('t', at % 2, records(`${at}`, `${at}'`))
  const held = async (): Promise<string[]> => {
    const { bus: again } = await openBus({ folder })
    const texts: string[] = []
    for (let from = 0; from < 30; from = texts.length) {
      texts.push(...textsOf(await again.read('t', 1, from, 1000, 0)))
    }
    await again.close()
    return texts
  }
  await bus.close()
  const expected = Array.from({ length: 15 }, (_, at) => [`${2 * at + 1}`, `${2 * at + 1}'`]).flat()
  const indexes = (await readdir(join(folder, 't'))).filter(name => name.endsWith('.idx'))
  expect(indexes.length).toBeGreaterThan(5)
  expect(await held()).toEqual(expected)
  for (const name of indexes) await rm(join(folder, 't', name))
  expect(await held()).toEqual(expected)
  for (const name of indexes) await writeFile(join(folder, 't', name), Buffer.alloc(300, 7))
  expect(await held()).toEqual(expected)
  // Each was written anew, and belongs to its own segment only.
  await copyFile(join(folder, 't', `${indexes[0]}`), join(folder, 't', `${indexes[1]}`))
  expect(await held()).toEqual(expected)
})

test('a byte that rots under an index is found by its checksum: fetch says so, a read passes over it', async () => {
  const { bus, folder } = await openBus({ logLimits: { segmentBytes: 1 } })
  for (const text of ['a', 'b', 'c']) await bus.append('t', 0, records(text))
  await bus.close()
  const path = segmentPath(join(folder, 't'), 2)
  const file = await readFile(path)
  file.write('x', file.indexOf('b', 512 + 32))
  await writeFile(path, file)
  const { bus: again, events } = await openBus({ folder })
  await expect(again.fetch('t', 0, 1)).rejects.toMatchObject({ code: 'DATA_CORRUPT' })
  const batch = await again.read('t', 0, 1, 1000, 0)
  expect([batch.gap, textsOf(batch)]).toEqual([{ from: 1, to: 2 }, ['c']])
  expect(textsOf(await again.read('t', 0, 0, 1000, 0))).toEqual(['a'])
  expect(events).toContainEqual({ kind: 'corrupt', topic: 't', partition: 0, offset: 1 })
})

test('leftovers of a crash in the middle of making a file are cleared away', async () => {
  const { bus, folder } = await openBus()
  await bus.append('t', 0, records('a'))
  await bus.close()
  await writeFile(join(folder, 't', '000000000002.log.tmp'), 'half a head')
  const { bus: again } = await openBus({ folder })
  expect(await readdir(join(folder, 't'))).not.toContain('000000000002.log.tmp')
  expect(textsOf(await again.read('t', 0, 0, 1000, 0))).toEqual(['a'])
})

test('a compaction that crashed after its rename is finished: replaced segments are not read', async () => {
  const keyed = { ...spec, retentionMs: 0, keyed: true }
  const { bus, folder } = await openBus({ specs: [keyed], logLimits: { segmentBytes: 1 << 20 } })
  const put = (key: string, text: string): Promise<number> =>
    bus.append('t', 0, [{ key: Buffer.from(key), value: Buffer.from(text) } satisfies NewRecord])
  await put('a', 'old')
  await put('a', 'new')
  const replaced = await readFile(segmentPath(join(folder, 't'), 1))
  await bus.compact('t')
  await put('a', 'newer')
  await bus.compact('t')
  await bus.close()
  await writeFile(segmentPath(join(folder, 't'), 1), replaced)
  const { bus: again } = await openBus({ specs: [keyed], folder })
  expect(textsOf(await again.read('t', 0, 0, 1000, 0))).toEqual(['newer'])
  await expect(again.fetch('t', 0, 1)).rejects.toMatchObject({ code: 'OFFSET_GONE' })
  expect(await readdir(join(folder, 't'))).not.toContain('000000000001.log')
})
