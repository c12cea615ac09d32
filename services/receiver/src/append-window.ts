import type { Bus, NewRecord } from '@winnow/bus'
import { PipelineError } from '@winnow/runtime'

/** Records of one partition that are handed over together, unless the first alone has more. */
export const appendBytesMax = 4 * 1024 * 1024

/** All that is handed over and not yet answered: less than any adapter queues, so that none refuses. */
export const appendBytesInFlightMax = 16 * 1024 * 1024

/**
 * Appends that wait their turn. A request of 64 MiB becomes as much in records, and a bus that was
 * given all of it at once would refuse it for ever.
 */
export class AppendWindow {
  readonly #bus: Bus
  readonly #waiting: { readonly bytes: number; readonly start: () => void }[] = []
  #inFlightBytes = 0
  /** Of records that are durable. */
  appendedBytes = 0

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** Resolves once all are durable; rejects with the first failure once none is under way. */
  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<void> {
    const appends = [...chunks(records)].map(chunk => this.#appendChunk(topic, partition, chunk))
    const results = await Promise.allSettled(appends)
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  #appendChunk(topic: string, partition: number, { records, bytes }: Chunk): Promise<void> {
    return new Promise((resolve, reject) => {
      const start = (): void => {
        this.#inFlightBytes += bytes
        this.#bus
          .append(topic, partition, records)
          .finally(() => {
            this.#inFlightBytes -= bytes
            this.#startWaiting()
          })
          .then(
            () => {
              this.appendedBytes += bytes
              resolve()
            },
            (error: unknown) => reject(withoutRoom(error)),
          )
      }
      this.#waiting.push({ bytes, start })
      this.#startWaiting()
    })
  }

  #startWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const fits = this.#inFlightBytes + next.bytes <= appendBytesInFlightMax
      if (this.#inFlightBytes > 0 && !fits) return
      this.#waiting.shift()
      next.start()
    }
  }
}

/**
 * A log without room is the server's trouble, not the client's quota: 503, and nothing of this machine's
 * folders in the answer.
 */
function withoutRoom(error: unknown): unknown {
  if (!(error instanceof PipelineError && error.code === 'QUOTA_EXCEEDED')) return error
  const message = 'the log has no room for more right now; send again later'
  return new PipelineError('BUS_UNAVAILABLE', message, { cause: error })
}

interface Chunk {
  readonly records: readonly NewRecord[]
  readonly bytes: number
}

function* chunks(records: readonly NewRecord[]): Generator<Chunk> {
  let from = 0
  let bytes = 0
  for (const [index, { value }] of records.entries()) {
    if (index > from && bytes + value.length > appendBytesMax) {
      yield { records: records.slice(from, index), bytes }
      from = index
      bytes = 0
    }
    bytes += value.length
  }
  if (from < records.length) yield { records: records.slice(from), bytes }
}
