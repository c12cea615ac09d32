import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus, Lease, Position } from '@winnow/bus'
import { PipelineError } from '@winnow/runtime'
import { decisionsTopic } from './writer.fixture.ts'

/** Where a group stands, shared by leases that do not know of each other. */
export interface Positions {
  committed: Position | undefined
}

/** A lease of partition 0 that no group gave: whoever is handed it believes to be the owner. */
export class ForcedLease implements Lease {
  readonly partition = 0
  readonly committed: Position | undefined
  readonly #bus: Bus
  readonly #positions: Positions
  readonly #lost = new AbortController()
  readonly #recordsMax: () => number
  #next: number | undefined
  /** Another owner is there: commits are refused, reads go on. */
  isStale = false

  constructor(bus: Bus, positions: Positions, recordsMax: () => number = () => 1_000) {
    this.#bus = bus
    this.#positions = positions
    this.#recordsMax = recordsMax
    this.committed = positions.committed
    this.#next = positions.committed?.offset
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  lose(): void {
    this.isStale = true
    this.#lost.abort()
  }

  async read(): ReturnType<Lease['read']> {
    // As a lease on Kafka does: other work goes on between two reads.
    await sleep(0)
    if (this.lost.aborted) return { records: [] }
    const from = this.#next ?? (await this.#bus.bounds(decisionsTopic, 0)).first
    const { records, gap } = await this.#bus.read(decisionsTopic, 0, from, 1 << 24, 0)
    const taken = records.slice(0, this.#recordsMax())
    this.#next = (taken.at(-1)?.offset ?? (gap?.to ?? from) - 1) + 1
    return gap === undefined ? { records: taken } : { records: taken, gap }
  }

  async commit(position: Position): Promise<void> {
    if (this.isStale) throw new PipelineError('STALE_OWNER', 'another owner')
    this.#positions.committed = position
  }
}
