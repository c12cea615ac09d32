import type { Batch } from '@winnow/bus'
import type { Instance } from './instance.ts'

/**
 * A read of one partition that may wait for records. How many it brings is chance: what a stage does
 * must not depend on where batches end. Without a record it ends once its time is over.
 */
export async function readBatch(
  instance: Instance,
  topic: string,
  partition: number,
  from: number,
  waitMs: number,
  lost?: AbortSignal,
): Promise<Batch> {
  const { world } = instance
  const untilMs = world.nowMs + waitMs
  const isReady = (): boolean =>
    lost?.aborted === true || world.log(topic, partition).length > from || world.nowMs >= untilMs
  return instance.hold(
    // A lease's read asks again by itself while the bus is away; `Bus.read` says so.
    lost === undefined ? 'ask' : 'sure',
    lost === undefined ? 'read' : 'lease read',
    async () => {
      const batch = await world.bus.read(topic, partition, from, 1 << 24, 0)
      const all = batch.records.length
      const taken = world.random.chance(0.3) ? all : world.random.int(Math.min(1, all), all)
      const records = batch.records.slice(0, taken)
      if (batch.gap !== undefined) world.count(`gap met by ${instance.stage}`)
      return batch.gap === undefined ? { records } : { records, gap: batch.gap }
    },
    isReady,
  )
}
