import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { ManualClock } from '@winnow/runtime'
// biome-ignore lint/correctness/noUndeclaredDependencies: used by tests only, like the tests themselves.
import { onTestFinished } from 'vitest'
import type { Batch, Bus, BusRecord, NewRecord } from './bus.ts'
import { FileBus, type FileBusOptions } from './file-bus.ts'
import type { LogEvent } from './file-bus-events.ts'
import { lockFileName } from './folder-lock.ts'
import { diskIo } from './log-io.ts'
import type { TopicSpec } from './topics.ts'

export const hourMs = 3_600_000

export const spec: TopicSpec = { name: 't', partitions: 3, retentionMs: hourMs, keyed: false }

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'winnow-bus-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/**
 * The folder as a crash would leave it: copied while the bus is at work, without its lock. A crash is
 * one moment and a copy is not: where a file was renamed or deleted under it, it is begun again.
 */
export async function crashed(folder: string): Promise<string> {
  for (;;) {
    const copy = await temporaryFolder()
    try {
      // Opening the lock file in this process would drop the lock, see FolderLock.
      await cp(folder, copy, { recursive: true, filter: path => basename(path) !== lockFileName })
      return copy
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}

export interface OpenBus {
  readonly bus: FileBus
  readonly clock: ManualClock
  readonly events: LogEvent[]
  readonly folder: string
}

/** A bus with the topic `t`, closed after the test. */
export async function openBus(options: Partial<FileBusOptions> = {}): Promise<OpenBus> {
  const folder = options.folder ?? (await temporaryFolder())
  const clock = new ManualClock()
  clock.advanceMs(1_700_000_000_000)
  const events: LogEvent[] = []
  const bus = await FileBus.open({
    specs: [spec],
    clock,
    onEvent: event => events.push(event),
    ...options,
    folder,
  })
  onTestFinished(() => bus.close())
  return { bus, clock, events, folder }
}

/** A bus whose log, once held, is not told that it has synced until it is released. */
export interface HeldBus extends OpenBus {
  hold(): void
  release(): void
}

export async function openHeldBus(): Promise<HeldBus> {
  const synced = Promise.withResolvers<void>()
  let isHeld = false
  const open = await openBus({
    io: {
      ...diskIo,
      sync: async file => {
        await diskIo.sync(file)
        if (isHeld) await synced.promise
      },
    },
  })
  return {
    ...open,
    hold: () => {
      isHeld = true
    },
    release: synced.resolve,
  }
}

/** What a read at the end of a held log has found before the log is released, and in the end. */
export async function readWhileHeld(
  { bus, hold, release }: HeldBus,
  reader: Pick<Bus, 'read'>,
): Promise<{ readonly before: string[] | undefined; readonly after: string[] | undefined }> {
  await bus.append('t', 0, records('a'))
  hold()
  const appending = bus.append('t', 0, records('b'))
  await manyTurns()
  let told: string[] | undefined
  const reading = reader.read('t', 0, 1, 1000, 0).then(batch => {
    told = textsOf(batch)
  })
  await manyTurns()
  const before = told
  release()
  await Promise.all([appending, reading])
  return { before, after: told }
}

/** Of the event loop: what could happen without the disk has happened. */
export async function manyTurns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
}

export function records(...texts: string[]): NewRecord[] {
  return texts.map(text => ({ value: Buffer.from(text) }))
}

export function textsOf(batch: Batch): string[] {
  return batch.records.map(textOf)
}

export function textOf(record: BusRecord): string {
  return Buffer.from(record.value).toString()
}

/** Small, fast, seeded: mulberry32. A failing test prints the seed. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}
