import type { Bus, BusRecord } from '@winnow/bus'
import { PipelineError } from '@winnow/runtime'

/** All that all samplers have in common is said in one partition, so that it has one order. */
export const controlPartition = 0

const readBytesMax = 1024 * 1024

/** Longest wait for records that are there; one that takes longer is asked again by whoever waits. */
const readWaitMs = 2_000

/** Reads `control` from its first record on, each record once. Reads may overlap. */
export class ControlReader {
  readonly #bus: Bus
  readonly #topic: string
  readonly #onRecords: (records: readonly BusRecord[]) => void
  #next: number | undefined

  constructor(bus: Bus, topic: string, onRecords: (records: readonly BusRecord[]) => void) {
    this.#bus = bus
    this.#topic = topic
    this.#onRecords = onRecords
  }

  /** All that is there when it is called. Rejects with what may pass. */
  async readToEnd(): Promise<void> {
    const bounds = await this.#bus.bounds(this.#topic, controlPartition)
    this.#next ??= bounds.first
    let { end } = bounds
    while (this.#next < end) {
      const before: number = this.#next
      await this.read(readWaitMs)
      // The last record of a log is the last of its key too, so there is one to come.
      if (this.#next === before) {
        const message = `${this.#topic}/${controlPartition} ends at ${end} and brings nothing from ${before} on`
        throw new PipelineError('BUS_UNAVAILABLE', message)
      }
      // A record that was compacted away meanwhile has its successor behind the end of before.
      end = (await this.#bus.bounds(this.#topic, controlPartition)).end
    }
  }

  /** What comes next, or nothing after `waitMs`. Resolves to true at the end. */
  async read(waitMs: number): Promise<boolean> {
    if (this.#next === undefined) {
      await this.readToEnd()
      return true
    }
    const from = this.#next
    const { records, gap } = await this.#bus.read(
      this.#topic,
      controlPartition,
      from,
      readBytesMax,
      waitMs,
    )
    // Another read may have been faster.
    const fresh = records.filter(({ offset }) => offset >= (this.#next ?? 0))
    const last = records.at(-1)
    this.#next = Math.max(this.#next, last === undefined ? (gap?.to ?? from) : last.offset + 1)
    if (fresh.length > 0) this.#onRecords(fresh)
    return last === undefined && gap === undefined
  }
}
