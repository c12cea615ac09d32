import type { Lease } from '@winnow/bus'
import { isRetryable, PipelineError } from '@winnow/runtime'
import type { PartitionStatus, Shared } from './shared.ts'

/** What one partition asks of the bus, again and again until it has an answer, and what it says of itself meanwhile. */
export class PatientCalls {
  readonly #shared: Pick<Shared, 'clock' | 'config' | 'isStopping' | 'log' | 'statuses'>
  readonly #lease: Lease
  #status: PartitionStatus = 'claiming'
  #answeredAtMs: number

  constructor(
    shared: Pick<Shared, 'clock' | 'config' | 'isStopping' | 'log' | 'statuses'>,
    lease: Lease,
  ) {
    this.#shared = shared
    this.#lease = lease
    this.#answeredAtMs = shared.clock.nowMs()
  }

  get status(): PartitionStatus {
    return this.#status
  }

  /** When the bus answered last. */
  get answeredAtMs(): number {
    return this.#answeredAtMs
  }

  is(status: PartitionStatus): void {
    this.#status = status
    this.#shared.statuses.set(this.#lease.partition, status)
  }

  /** Asks until the bus answers. STALE_OWNER once the lease is lost, or stopping has no answer. */
  async ask<T>(call: () => Promise<T>): Promise<T> {
    const { shared, status } = { shared: this.#shared, status: this.#status }
    for (;;) {
      this.checkOwned()
      try {
        const answer = await call()
        this.#answeredAtMs = shared.clock.nowMs()
        if (this.#status !== status) this.is(status)
        return answer
      } catch (error) {
        if (!isRetryable(error)) throw error
        shared.log.error('sampler.bus_unavailable', error, { partition: this.#lease.partition })
        if (shared.isStopping) throw this.#lost()
        this.is('waiting for the bus')
        await shared.clock.sleep(shared.config.retryAfter)
      }
    }
  }

  /** STALE_OWNER once the lease is lost. */
  checkOwned(): void {
    if (this.#lease.lost.aborted) throw this.#lost()
  }

  #lost(): PipelineError {
    return new PipelineError('STALE_OWNER', `partition ${this.#lease.partition} was given back`)
  }
}
