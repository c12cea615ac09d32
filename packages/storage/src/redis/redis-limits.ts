import type { BreakerWaits } from './breakers.ts'

export interface RedisLimits {
  /** How long `open` waits for the first connection; without one it goes on and connects when it can. */
  readonly connectWaitMs: number
  /** A connection on which answers are owed and nothing comes for so long is given up. */
  readonly silenceMs: number
  /** How long one checkpoint is waited for. */
  readonly checkpointWaitMs: number
  /** A checkpoint is replaced every few seconds while its partition is folded. */
  readonly checkpointLifeMs: number
  /** Of one value: the largest record is 4 MiB, the largest checkpoint this. */
  readonly valueBytesMax: number
  /** Of puts that are not answered yet: memory of this process. */
  readonly inflightBytesMax: number
  /** Between two tries to connect. */
  readonly reconnect: BreakerWaits
  /** Before a partition whose calls fail is asked again. */
  readonly waits: BreakerWaits
}

export const redisLimits: RedisLimits = {
  connectWaitMs: 2_000,
  silenceMs: 5_000,
  checkpointWaitMs: 5_000,
  checkpointLifeMs: 600_000,
  // What is put before every checkpoint comes on top.
  valueBytesMax: 64 * 1024 * 1024 + 8,
  inflightBytesMax: 32 * 1024 * 1024,
  reconnect: { minMs: 100, maxMs: 5_000 },
  waits: { minMs: 500, maxMs: 5_000 },
}
