import type { Bus } from '@winnow/bus'
import { columnsMax } from '@winnow/model'
import { type Component, isRetryable, type Log, type StageClock } from '@winnow/runtime'
import { ControlReader } from './control-reader.ts'
import { policyColumns } from './policy-conditions.ts'
import type { Policy } from './policy-file.ts'
import { PolicyLog } from './policy-log.ts'

export interface ColumnFollowerOptions {
  readonly bus: Bus
  /** Full name of the `control` topic. */
  readonly control: string
  readonly clock: StageClock
  readonly log: Log
  /** What this process is configured with: holds until `control` says something. */
  readonly policies: readonly Policy[]
  /** Longest wait of one look at `control`. */
  readonly waitMs: number
  readonly retryAfterMs: number
}

/**
 * What the rules in force, and those in the shadow, name of every span: for whoever reads spans. It has
 * started once it knows what is in force, because a slice's facts are those of its first reading: what
 * was not recorded then no rule ever sees. Afterwards an assembler that lags behind a sampler here
 * records a new name a moment later, and nothing else.
 */
export class ColumnFollower implements Component {
  readonly failed: Promise<never>
  readonly #fail: (error: unknown) => void
  readonly #options: ColumnFollowerOptions
  readonly #policies = new PolicyLog()
  readonly #reader: ControlReader
  #columns: readonly string[]
  #isStopping = false
  #followed: Promise<void> | undefined

  constructor(options: ColumnFollowerOptions) {
    this.#options = options
    this.#columns = this.#columnsOf(options.policies)
    const failed = Promise.withResolvers<never>()
    this.failed = failed.promise
    this.failed.catch(() => {})
    this.#fail = failed.reject
    this.#reader = new ControlReader(options.bus, options.control, records => {
      if (this.#policies.apply(records)) this.#resolve()
    })
  }

  /** Another array only where they are others. */
  get columns(): readonly string[] {
    return this.#columns
  }

  /** Waits while `control` cannot be read, and says so. */
  async start(): Promise<void> {
    this.#isStopping = false
    let isKnown = false
    while (!isKnown && !this.#isStopping) {
      isKnown = await this.#patiently(() => this.#reader.readToEnd())
    }
    this.#followed = this.#follow().catch(this.#fail)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#followed
  }

  async #follow(): Promise<void> {
    const { waitMs } = this.#options
    const read = async () => {
      if (await this.#reader.read(waitMs)) this.#policies.tidy()
    }
    while (!this.#isStopping) await this.#patiently(read)
  }

  /** False where it failed and may pass: then some time has passed too. */
  async #patiently(read: () => Promise<void>): Promise<boolean> {
    const { clock, log, retryAfterMs } = this.#options
    try {
      await read()
      return true
    } catch (error) {
      if (!isRetryable(error)) throw error
      log.error('assembler.control_unavailable', error)
      await clock.sleep(retryAfterMs)
      return false
    }
  }

  #resolve(): void {
    const { inForce, shadow } = this.#policies.state
    if (inForce === undefined) return
    const columns = this.#columnsOf([
      inForce.policy,
      ...(shadow === undefined ? [] : [shadow.policy]),
    ])
    if (columns.join('\n') === this.#columns.join('\n')) return
    this.#columns = columns
    this.#options.log.info('assembler.columns', { version: inForce.version, count: columns.length })
  }

  /** Each policy has at most `columnsMax`; of two the first has the right of way. */
  #columnsOf(policies: readonly Policy[]): readonly string[] {
    const all = [...new Set(policies.flatMap(policyColumns))]
    const columns = all.slice(0, columnsMax)
    // The API refuses two such policies; files of two processes may still say them.
    if (columns.length < all.length) {
      const leftOut = all.slice(columnsMax).join(' ')
      this.#options.log.warn('assembler.columns_left_out', { of: all.length, columns: leftOut })
    }
    return columns
  }
}
