import type { Component, HealthReport } from '@winnow/runtime'
import type { Addresses, StageName } from './stage.ts'

/** A stage of this process, in the main thread or in one of its own. */
export interface RunningStage extends Component {
  readonly name: StageName
  /** Rejects when the stage cannot go on: what was acknowledged is on the bus, so the process ends. */
  readonly failed: Promise<never>
  /** Where it listens; known once started. */
  readonly addresses: Addresses
  /** Not ready before it has started. */
  health(): Promise<HealthReport>
  /** Its metrics as JSON, to be merged with the other stages'; none before it has started. */
  metrics(): Promise<object[]>
}

export const notStarted: HealthReport = {
  ready: false,
  degraded: false,
  parts: { start: { ready: false, detail: 'still starting' } },
}
