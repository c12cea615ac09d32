import type { Bus } from './bus.ts'
import type { SharedTail } from './tail-index.ts'

/** A bus whose tails other threads of the process may read by themselves. */
export interface SharingBus extends Bus {
  readonly tails: readonly SharedTail[]
  /**
   * The records of one answer of its `read` and `fetch` lie as frames in one piece of memory that is the
   * caller's alone, so that it can be transferred.
   */
  readonly placesRecords: boolean
}

export function isSharing(bus: Bus): bus is SharingBus {
  return 'tails' in bus
}
