import type { Batch, Bus, Lease } from '@winnow/bus'

/**
 * Evidence of one partition in order. A lease reads forwards only; after a new claim what was read
 * since the last commit is read once more, without the group, until the lease's own place is reached.
 */
export class EvidenceReader {
  /** The next offset to return. */
  next: number
  readonly #bus: Bus
  readonly #topic: string
  readonly #lease: Lease
  #leaseNext: number

  /** `from`: where the lease begins, its committed offset or the first retained. */
  constructor(bus: Bus, topic: string, lease: Lease, from: number) {
    this.#bus = bus
    this.#topic = topic
    this.#lease = lease
    this.next = from
    this.#leaseNext = from
  }

  /** Every record of the batch lies at or after `next`, which then lies behind it. */
  async read(bytesMax: number, waitMs: number): Promise<Batch> {
    const isReplay = this.next < this.#leaseNext
    const batch = isReplay
      ? await this.#bus.read(this.#topic, this.#lease.partition, this.next, bytesMax, waitMs)
      : await this.#lease.read(bytesMax, waitMs)
    const end = (batch.records.at(-1)?.offset ?? (batch.gap?.to ?? this.next) - 1) + 1
    if (!isReplay) this.#leaseNext = Math.max(this.#leaseNext, end)
    const records = batch.records.filter(({ offset }) => offset >= this.next)
    this.next = Math.max(this.next, end)
    return batch.gap === undefined ? { records } : { records, gap: batch.gap }
  }
}
