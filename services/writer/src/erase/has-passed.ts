import type { Bus } from '@winnow/bus'

/**
 * Whether nothing that a topic took at `atMs` or before is retained, in any partition. The clocks of those
 * who append and of the bus may differ by some minutes; retention's grain is coarser than that.
 */
export async function hasPassed(bus: Bus, topic: string, atMs: number): Promise<boolean> {
  const partitions = await bus.partitionCount(topic)
  for (let partition = 0; partition < partitions; partition++) {
    const { first, end } = await bus.bounds(topic, partition)
    if (first >= end) continue
    const { records } = await bus.read(topic, partition, first, 1, 0)
    const [oldest] = records
    // None: retention took it between the two looks, or it does not answer yet. Asked again.
    if (oldest === undefined || oldest.appendedAtMs <= atMs + clockSlackMs) return false
  }
  return true
}

/** By which the bus's clock may lie behind that of who asked. */
export const clockSlackMs = 60_000
