// The kept set, proven: what the API says of every trace against an oracle that saw all at once.

import { FileBus, MemoryBus } from '@winnow/bus'
import { systemClock } from '@winnow/runtime'
import { test } from 'vitest'
import { expectAgreement } from './support/expect-agreement.ts'
import { playOnMemory, playQuickly } from './support/seed-run.ts'

const traces = 5_000

/** One of the seeds runs with a policy file that registers the variant of the traffic. */
const seeds = [
  { seed: 1, isVariantActive: false },
  { seed: 2, isVariantActive: true },
  { seed: 3, isVariantActive: false },
]

test.for(seeds)(
  'seed $seed in memory, evaluations up to six hours late: the oracle agrees on every trace',
  async ({ seed, isVariantActive }) => {
    const run = await playOnMemory(
      { seed, traces, isVariantActive },
      (specs, clock) => new MemoryBus(specs, clock),
    )
    await expectAgreement(run, isVariantActive)
  },
)

test.for(seeds)(
  'seed $seed on the file bus, by the wall clock: the oracle agrees on every trace',
  async ({ seed, isVariantActive }) => {
    const run = await playQuickly({ seed, traces, isVariantActive }, (specs, folder) =>
      FileBus.open({ folder, specs, clock: systemClock }),
    )
    await expectAgreement(run, isVariantActive)
  },
)
