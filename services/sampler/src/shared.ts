import type { Bus } from '@winnow/bus'
import type { Log, Metrics, StageClock } from '@winnow/runtime'
import type { Baselines } from './baselines.ts'
import type { Ceilings } from './ceilings.ts'
import type { SamplerConfig } from './config.ts'
import type { DecisionMetrics } from './decision-metrics.ts'
import type { FleetSpend } from './fleet-spend.ts'
import type { BaselinesFollower } from './follow-baselines.ts'
import type { KeptStates } from './kept-states.ts'
import type { PolicyFollower } from './policy-follower.ts'
import type { StateSnapshots } from './state-snapshots.ts'
import type { VariantWatch } from './variant-watch.ts'

/** Full names, as the bus knows them. */
export interface SamplerTopics {
  readonly evidence: string
  readonly decisions: string
  readonly baselines: string
  readonly control: string
}

/** `claiming` and `folding` are the way to `running`; a partition that waits for the bus says so. */
export type PartitionStatus = 'claiming' | 'folding' | 'running' | 'waiting for the bus'

/** What the partitions of one process have in common. */
export interface Shared {
  readonly bus: Bus
  readonly topics: SamplerTopics
  readonly config: SamplerConfig
  readonly clock: StageClock
  readonly log: Log
  readonly metrics: Metrics
  readonly figures: DecisionMetrics
  readonly baselines: Baselines
  /** Brings what other processes know into `baselines`. */
  readonly follower: BaselinesFollower
  /** What is in force takes effect with the next claim of a partition. */
  readonly policies: Pick<PolicyFollower, 'caughtUp' | 'current'>
  /** Names this process in its claims. */
  readonly by: string
  /** Random, so that clients cannot choose slots of the index. */
  readonly seed: number
  /** `stop()` was called: finish what is at hand, take nothing new. */
  readonly isStopping: boolean
  /** What variants have used up of their caps, over all samplers. */
  readonly spends: FleetSpend
  readonly watch: VariantWatch
  readonly ceilings: Ceilings
  readonly statuses: Map<number, PartitionStatus>
  /** The next offset of `evidence` that is not decided on yet, of each partition that is held. */
  readonly positions: Map<number, number>
  readonly kept: KeptStates
  /** Absent: the log alone is what a partition is taken up from. */
  readonly snapshots: StateSnapshots | undefined
  /** Work that nobody waits for. If it fails all the same, the process has to end. */
  background(work: Promise<void>): void
}
