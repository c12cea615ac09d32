import type { CostSettings } from '@winnow/cost'
import { defaultHotLife } from '@winnow/storage'
import type { Config } from '../program-config.ts'

const dayMs = 86_400_000

/** What costs are worked out from, for the command and for the API. */
export function costSettings({ writer, sampler, topics, costs }: Config): CostSettings {
  return {
    prices: costs,
    livesMs: {
      hot: defaultHotLife.tracesMs,
      warm: writer.warmLife,
      cold: writer.coldLife,
      ledger: writer.ledgerLife,
    },
    snapshotsPerDay: (topics.partitions * dayMs) / sampler.snapshotEvery,
    segmentAgeMs: writer.segmentAge,
  }
}
