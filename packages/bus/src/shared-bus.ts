import type { Bus } from './bus.ts'

/** The tail of one topic's log in memory: frames of file-format.ts, seeded with `seed`. */
export interface SharedTail {
  readonly memory: SharedArrayBuffer
  readonly seed: number
}

/**
 * A bus as another thread of the process reads it. Records that are young in a tail come as views of
 * its memory, and nobody waits for their reader: he copies them at once, and believes the copy only if
 * its checksum is right. All others of a batch lie in one piece of memory that is the reader's alone,
 * so that it can be transferred.
 */
export interface SharedBus extends Bus {
  readonly tails: readonly SharedTail[]
}

/** A bus that can be read so. */
export interface SharingBus extends Bus {
  shared(): SharedBus
}

export function isSharing(bus: Bus): bus is SharingBus {
  return 'shared' in bus
}
