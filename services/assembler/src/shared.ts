import type { Bus } from '@winnow/bus'
import type { Log, Metrics, StageClock } from '@winnow/runtime'
import type { TraceBuffer } from '@winnow/storage'
import type { AssemblerConfig } from './config.ts'
import type { SliceReader } from './read-slices.ts'
import type { TurnPace } from './turn-pace.ts'

/** What the loops of one assembler have in common. */
export interface Shared {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: { readonly spans: string; readonly evidence: string }
  readonly group: string
  readonly config: AssemblerConfig
  readonly clock: StageClock
  readonly log: Log
  readonly metrics: Metrics
  readonly readSlices: SliceReader
  readonly buffer: TraceBuffer | undefined
  readonly pace: TurnPace
  readonly isStopping: boolean
}
