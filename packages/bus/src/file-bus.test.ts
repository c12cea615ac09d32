import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { ManualClock } from '@winnow/runtime'
import { busContract } from './bus.contract.ts'
import type { Bus } from './bus.ts'
import { FileBus, type FileBusOptions } from './file-bus.ts'
import { lockFileName } from './folder-lock.ts'

/** What a bus of this suite was made from, so that it can be made again. */
const made = new WeakMap<Bus, FileBusOptions & { clock: ManualClock }>()

async function open(options: Omit<FileBusOptions, 'folder' | 'clock'>): Promise<FileBus> {
  const folder = await mkdtemp(join(tmpdir(), 'winnow-bus-'))
  return openAt({ ...options, folder, clock: new ManualClock() })
}

async function openAt(options: FileBusOptions & { clock: ManualClock }): Promise<FileBus> {
  const bus = await FileBus.open(options)
  made.set(bus, options)
  return bus
}

/** The folder as a crash would leave it: copied while the bus is at work, without its lock. */
async function crashed(folder: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'winnow-crash-'))
  await cp(folder, copy, { recursive: true, filter: path => basename(path) !== lockFileName })
  return copy
}

for (const [name, options] of [
  ['FileBus', {}],
  ['FileBus, buffered', { isDirect: false }],
  ['FileBus, a segment for every commit', { logLimits: { segmentBytes: 1 } }],
] as const) {
  busContract(name, {
    open: specs => open({ ...options, specs }),
    expire: async bus => {
      const { clock, specs } = made.get(bus) as FileBusOptions & { clock: ManualClock }
      clock.advanceMs((specs[0]?.retentionMs ?? 0) + 3 * 3_600_000)
      if (bus instanceof FileBus) await bus.sweep()
    },
    reopen: async bus => {
      const before = made.get(bus) as FileBusOptions & { clock: ManualClock }
      return openAt({ ...before, folder: await crashed(before.folder) })
    },
    recreate: async (bus, spec) => {
      const before = made.get(bus) as FileBusOptions & { clock: ManualClock }
      await bus.close()
      await rm(join(before.folder, spec.name), { recursive: true })
      return openAt(before)
    },
    compact: async (bus, topic) => {
      if (bus instanceof FileBus) await bus.compact(topic)
    },
  })
}
