import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { ManualClock, systemClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { DiskGuard } from './disk-guard.ts'
import {
  crashed,
  hourMs,
  openBus,
  records,
  spec,
  temporaryFolder,
  textsOf,
} from './file-bus.fixture.ts'
import { FileBus } from './file-bus.ts'
import { diskIo, type LogIo } from './log-io.ts'
import { segmentPath } from './segment.ts'

const errorOf = (code: string): Error => Object.assign(new Error(code), { code })

test('after a failed sync the log takes nothing more, says so, and ends its memberships', async () => {
  let isBroken = false
  const io: LogIo = {
    ...diskIo,
    sync: file => (isBroken ? Promise.reject(errorOf('EIO')) : diskIo.sync(file)),
  }
  const { bus, events, folder } = await openBus({ io })
  await bus.append('t', 0, records('a'))
  const membership = bus.join('t', 'g', async () => undefined)
  const failed = expect(membership.failed).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  isBroken = true
  const unavailable = {
    code: 'BUS_UNAVAILABLE',
    message: expect.stringContaining('start it again'),
  }
  await expect(bus.append('t', 0, records('b'))).rejects.toMatchObject(unavailable)
  await failed
  // A sync that succeeds now proves nothing about the pages of the one that failed.
  isBroken = false
  await expect(bus.append('t', 1, records('c'))).rejects.toMatchObject(unavailable)
  expect(events.map(event => event.kind)).toEqual(['failed'])
  expect(textsOf(await bus.read('t', 0, 0, 1000, 0))).toEqual(['a'])
  await membership.close()
  await bus.close()
  const again = await openBus({ folder })
  const [a, ...late] = textsOf(await again.bus.read('t', 0, 0, 1000, 0))
  expect([a, late.every(text => text === 'b')]).toEqual(['a', true])
})

test('a write that fills the disk is undone: it is refused, and the log goes on once there is room', async () => {
  let isFull = false
  const io: LogIo = {
    ...diskIo,
    write: async (file, bytes, at, length, position) => {
      if (!isFull) return diskIo.write(file, bytes, at, length, position)
      await diskIo.write(file, bytes, at, 512, position)
      throw errorOf('ENOSPC')
    },
  }
  const { bus, folder, events } = await openBus({ io })
  await bus.append('t', 0, records('a'))
  isFull = true
  const large = { value: Buffer.alloc(300_000, 'x') }
  const refused = await Promise.allSettled([
    bus.append('t', 0, [large]),
    bus.append('t', 1, [large]),
    bus.append('t', 0, records('b')),
  ])
  for (const result of refused) {
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'QUOTA_EXCEEDED' } })
  }
  isFull = false
  expect(await bus.append('t', 0, records('c'))).toBe(1)
  expect(await bus.append('t', 1, records('d'))).toBe(0)
  const again = await openBus({ folder: await crashed(folder) })
  expect(textsOf(await again.bus.read('t', 0, 0, 1000, 0))).toEqual(['a', 'c'])
  expect([...events, ...again.events]).toEqual([])
})

test('what was composed behind a refused commit keeps its place without a hole', async () => {
  let writes = 0
  const io: LogIo = {
    ...diskIo,
    write: async (...write) => {
      if (++writes !== 2) return diskIo.write(...write)
      // Long enough for the next commit to be composed meanwhile.
      await new Promise(resolve => setTimeout(resolve, 20))
      throw errorOf('ENOSPC')
    },
  }
  const { bus } = await openBus({ io })
  await bus.append('t', 0, records('first'))
  const large = (fill: string): { value: Buffer }[] => [{ value: Buffer.alloc(1 << 20, fill) }]
  const lost = bus.append('t', 0, large('x'))
  const refusal = expect(lost).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' })
  await new Promise(resolve => setImmediate(resolve))
  const kept = bus.append('t', 0, large('y'))
  await refusal
  expect(await kept).toBe(1)
  expect(Buffer.from((await bus.fetch('t', 0, 1)).value).equals(Buffer.alloc(1 << 20, 'y'))).toBe(
    true,
  )
  expect(textsOf(await bus.read('t', 0, 0, 1, 0))).toEqual(['first'])
})

test('appends are refused before the disk is full, and taken again when there is room', async () => {
  let freeBytes = 2000
  const io: LogIo = { ...diskIo, freeBytes: async () => freeBytes }
  const { bus, events } = await openBus({ io, limits: { freeBytesMin: 1488 } })
  // One block fits exactly: 2000 - 512 = 1488.
  await bus.append('t', 0, records('a'))
  freeBytes = 1999
  const full = bus.append('t', 0, records('b'))
  await expect(full).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
    message: expect.stringContaining('freeBytesMin is 1488'),
  })
  expect(textsOf(await bus.read('t', 0, 0, 1000, 0))).toEqual(['a'])
  freeBytes = 2000
  expect(await bus.append('t', 0, records('c'))).toBe(1)
  expect(events).toEqual([
    { kind: 'full', topic: 't', isFull: true },
    { kind: 'full', topic: 't', isFull: false },
  ])
})

test('far from its limit the guard does not make a commit wait', async () => {
  const clock = new ManualClock()
  let looks = 0
  const guard = new DiskGuard('/data', 1000, clock, async () => {
    looks++
    return 2 ** 40
  })
  await guard.take(1)
  expect([guard.take(1), guard.take(1 << 20), looks]).toEqual([undefined, undefined, 1])
  clock.advanceMs(1000)
  expect([guard.take(1), looks]).toEqual([undefined, 2])
})

test('a folder has one bus at a time, and the second is told who has it', async () => {
  const { bus, folder } = await openBus()
  const second = FileBus.open({ folder, specs: [spec], clock: systemClock })
  await expect(second).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(new RegExp(`${folder} is in use by process ${process.pid};`)),
  })
  expect(await bus.append('t', 0, records('still mine'))).toBe(0)
  await bus.close()
  const { bus: next } = await openBus({ folder })
  expect(textsOf(await next.read('t', 0, 0, 1000, 0))).toEqual(['still mine'])
})

test('the lock of a process that was killed is free at once, and what it had acknowledged is there', async () => {
  const folder = await temporaryFolder()
  const script = `
    import { FileBus } from ${JSON.stringify(import.meta.resolve('./file-bus.ts'))}
    const bus = await FileBus.open({
      folder: ${JSON.stringify(folder)},
      specs: [${JSON.stringify(spec)}],
      clock: { nowMs: () => Date.now() },
    })
    for (let at = 0; ; at++) {
      await bus.append('t', 0, [{ value: Buffer.from(String(at)) }])
      process.stdout.write(at + '\\n')
    }`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  while (printed.split('\n').length < 20) await once(child.stdout, 'data')
  await expect(FileBus.open({ folder, specs: [spec], clock: systemClock })).rejects.toMatchObject({
    message: expect.stringContaining(`process ${child.pid};`),
  })
  child.kill('SIGKILL')
  await once(child, 'close')
  const acknowledged = printed.slice(0, printed.lastIndexOf('\n')).split('\n')
  const { bus } = await openBus({ folder })
  const held: string[] = []
  for (let from = 0; held.length < acknowledged.length; from = held.length) {
    held.push(...textsOf(await bus.read('t', 0, from, 1 << 20, 0)))
  }
  expect(held.slice(0, acknowledged.length)).toEqual(acknowledged)
})

test('a segment of a newer release is refused by name, not misread', async () => {
  const { bus, folder } = await openBus()
  await bus.close()
  const path = segmentPath(join(folder, 't'), 1)
  const file = await readFile(path)
  file.writeUInt16LE(2, 8)
  await writeFile(path, file)
  await expect(openBus({ folder })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/000000000001\.log has format v 2, this release reads v 1/),
  })
})

test('a segment whose head is illegible, or of another log, is refused', async () => {
  const { bus, folder } = await openBus()
  await bus.append('t', 0, records('a'))
  await bus.close()
  const path = segmentPath(join(folder, 't'), 1)
  const file = await readFile(path)
  const broken = Buffer.from(file)
  broken[70] = 1
  await writeFile(path, broken)
  await expect(openBus({ folder })).rejects.toMatchObject({ code: 'DATA_CORRUPT' })
  await writeFile(path, 'something else altogether')
  await expect(openBus({ folder })).rejects.toMatchObject({ code: 'DATA_CORRUPT' })
  await writeFile(path, file)
  const stranger = await openBus()
  await stranger.bus.close()
  const strange = await readFile(segmentPath(join(stranger.folder, 't'), 1))
  await writeFile(segmentPath(join(folder, 't'), 2), strange)
  await expect(openBus({ folder })).rejects.toMatchObject({ code: 'DATA_CORRUPT' })
})

test('a topic keeps its number of partitions, and another is refused with the remedy', async () => {
  const { bus, folder } = await openBus()
  await bus.close()
  const more = { ...spec, partitions: 4 }
  const opening = openBus({ folder, specs: [more] })
  await expect(opening).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('configure the next generation'),
  })
  await expect(
    openBus({ folder, specs: [{ ...spec, retentionMs: 2 * hourMs }] }),
  ).resolves.toBeDefined()
})

test('a topic name that could leave the folder is refused', async () => {
  for (const name of ['../t', '.', 'a/b', '']) {
    const opening = openBus({ specs: [{ ...spec, name }] })
    await expect(opening, name).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  }
})
