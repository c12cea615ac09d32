import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ManualClock } from '@winnow/runtime'
import { busContract } from './bus.contract.ts'
import type { Bus } from './bus.ts'
import { crashed, hourMs, temporaryFolder } from './file-bus.fixture.ts'
import { FileBus, type FileBusOptions } from './file-bus.ts'

type Made = FileBusOptions & { clock: ManualClock }

/** What a bus of this suite was made from, so that it can be made again. */
const made = new WeakMap<Bus, Made>()

async function openAt(options: Made): Promise<FileBus> {
  const bus = await FileBus.open(options)
  made.set(bus, options)
  return bus
}

for (const [name, options] of [
  ['FileBus', {}],
  [
    'FileBus, through the page cache, a segment for every commit',
    { isDirect: false, logLimits: { segmentBytes: 1 } },
  ],
] as const) {
  busContract(name, {
    open: async specs =>
      openAt({ ...options, specs, folder: await temporaryFolder(), clock: new ManualClock() }),
    expire: async bus => {
      const { clock, specs } = made.get(bus) as Made
      clock.advanceMs((specs[0]?.retentionMs ?? 0) + 3 * hourMs)
      if (bus instanceof FileBus) await bus.sweep()
    },
    reopen: async bus => {
      const before = made.get(bus) as Made
      return openAt({ ...before, folder: await crashed(before.folder) })
    },
    recreate: async (bus, spec) => {
      const before = made.get(bus) as Made
      await bus.close()
      await rm(join(before.folder, spec.name), { recursive: true })
      return openAt(before)
    },
    compact: async (bus, topic) => {
      if (bus instanceof FileBus) await bus.compact(topic)
    },
  })
}
