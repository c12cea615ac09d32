import { isRetryable } from '@winnow/runtime'
import { lastBaselines, writeBaselines } from './baselines-record.ts'
import type { CeilingSpend } from './ceiling-spend.ts'
import type { Shared } from './shared.ts'
import type { VariantSpend } from './variant-spend.ts'

/**
 * What a process and the fleet know beside a partition's decisions, its baselines, its part of ceilings
 * and what it has used of variants' caps, begins to grow here. May be repeated when the bus did not answer.
 */
export async function holdShare(
  { bus, topics, baselines, ceilings, spends }: Shared,
  partition: number,
  spent: readonly VariantSpend[],
  underCeilings: CeilingSpend,
): Promise<void> {
  const { entries } = await lastBaselines(bus, topics.baselines, partition)
  const partitions = await bus.partitionCount(topics.baselines)
  baselines.hold(partition, entries)
  ceilings.share(partitions)
  ceilings.hold(partition, underCeilings)
  spends.hold(partition, spent)
}

export function releaseShare({ baselines, ceilings, spends }: Shared, partition: number): void {
  baselines.release(partition)
  ceilings.release(partition)
  spends.release(partition)
}

/** Writes a partition's baselines for the others, and takes over theirs. `nowMs` is log time. */
export async function tellShare(shared: Shared, partition: number, nowMs: number): Promise<void> {
  const { bus, topics, baselines, ceilings, follower, clock, log } = shared
  shared.background(follower.follow())
  ceilings.say(partition, nowMs, clock.nowMs())
  try {
    await writeBaselines(bus, topics.baselines, partition, baselines)
  } catch (error) {
    if (!isRetryable(error)) throw error
    log.error('sampler.baselines_not_written', error, { partition })
  }
}
