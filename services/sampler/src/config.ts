import { durationKey } from '@winnow/runtime'
import { z } from 'zod'

/** The sampler's branch of `winnow.yaml`. Windows and lives are durations; counts are plain numbers. */
export const samplerConfigSchema = z.strictObject({
  /** How much of the past a `slow` bar looks at, in six panes. */
  slowWindow: durationKey('1h'),
  /** Below this many root durations a key has no bar yet and the coarser key is asked. */
  slowCountMin: z.int().min(1).max(1_000_000).default(500),
  /** Keys of a level that have a sketch; what comes after them shares the coarser key's. */
  slowKeysMax: z.int().min(1).max(100_000).default(2_000),
  /**
   * How long after its last decision a trace is still the same series, in log time. It has to exceed
   * the retention of `spans` by far and to lie below that of `decisions` (protocol G).
   */
  indexLife: durationKey('72h'),
  /** Traces that one partition's index holds before the sampler refuses to go on. */
  indexTracesMax: z.int().min(1_024).max(100_000_000).default(16_000_000),
  /** Traces of one tenant and partition that have an evaluation but no span yet. */
  awaitingMax: z.int().min(1).max(10_000_000).default(10_000),
  /** An evaluation whose trace has not come after this counts as missed and frees its place. */
  awaitingLife: durationKey('24h'),
  /** Retention of the `spans` topic: what is older has no bytes to write any more. */
  spansRetention: durationKey('24h'),
  /** Longest time between a decision that counted and the commit of its evidence. */
  commitEvery: durationKey('1s'),
  /** How often the sketches of a partition are written to `baselines`. */
  baselinesEvery: durationKey('10s'),
  /** How often samplers tell each other what variants have used of their caps, where any is registered. */
  spendEvery: durationKey('1s'),
  /** How often a snapshot of a partition's index is written, where there is a blob store for it. */
  snapshotEvery: durationKey('5min'),
  /** How long one read waits for evidence; also how long `stop()` may take when idle. */
  idleWait: durationKey('250ms'),
  /** Pause before a refused append, commit or fetch is asked again. */
  retryAfter: durationKey('200ms'),
  /** Without an answer from the bus for so long the partition is claimed anew before the next append. */
  maxStall: durationKey('10min'),
})

export type SamplerConfig = z.infer<typeof samplerConfigSchema>

export const defaultSamplerConfig: SamplerConfig = samplerConfigSchema.parse({})
