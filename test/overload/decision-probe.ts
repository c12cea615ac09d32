import { setTimeout as sleep } from 'node:timers/promises'
import type { Why } from '@winnow/query'
import { percentile } from '@winnow/testing'
import type { TenantApi } from '../support/tenant-api.ts'
import type { SentTrace } from './steady-tenant.ts'

/** From the acknowledgement of a trace until `why` says what became of it, seconds. */
export interface Delay {
  readonly traces: number
  readonly p50S: number
  readonly p99S: number
}

const askEveryMs = 100
const waitMaxMs = 240_000

/** Asks why of some traces again and again, until each is decided. */
export class DecisionProbe {
  readonly #api: TenantApi
  readonly #delays: Promise<number>[] = []

  constructor(api: TenantApi) {
    this.#api = api
  }

  watch(trace: SentTrace): void {
    const delay = this.#delayOf(trace)
    delay.catch(() => {})
    this.#delays.push(delay)
  }

  /** Of all that were watched, once they are decided. Rejects where one never was. */
  async delay(): Promise<Delay> {
    const delays = await Promise.all(this.#delays)
    const at = (percent: number): number => percentile(delays, percent) ?? 0
    return { traces: delays.length, p50S: at(50), p99S: at(99) }
  }

  async #delayOf({ traceId, acknowledgedAtMs }: SentTrace): Promise<number> {
    for (const untilMs = Date.now() + waitMaxMs; Date.now() < untilMs; await sleep(askEveryMs)) {
      const { state } = await this.#api.read<Why>(`/api/v1/traces/${traceId}/why`)
      if (state === 'kept' || state === 'dropped') return (Date.now() - acknowledgedAtMs) / 1000
    }
    throw new Error(`${traceId} was not decided within ${waitMaxMs} ms`)
  }
}
