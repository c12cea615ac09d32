import type { Bus } from '@winnow/bus'
import { refKey, type SpanRef } from '@winnow/model'
import { decodeTraces, type TracesData } from '@winnow/otlp'
import { isRetryable, PipelineError } from '@winnow/runtime'
import { fetchesMax } from './config.ts'
import { Gate } from './gate.ts'
import { Lru } from './lru.ts'

/** A slice read back from `spans`: its bytes and what they say, or why there are none. */
export type SliceRead =
  | {
      readonly kind: 'read'
      readonly ref: SpanRef
      /** Not a view of its record: memory of the slices that were read with it, and of nothing else. */
      readonly bytes: Uint8Array
      readonly data: TracesData
    }
  /** Retention has passed the record. */
  | { readonly kind: 'gone'; readonly ref: SpanRef }
  /** There are no bytes that the decision could mean. Nothing can be done, so it is said. */
  | { readonly kind: 'unreadable'; readonly ref: SpanRef; readonly error: PipelineError }

type Found =
  | { readonly kind: 'found'; readonly ref: SpanRef; readonly record: Uint8Array }
  | (SliceRead & { readonly kind: 'gone' | 'unreadable' })

/** Reads the bodies of kept traces where they lie. A record that holds several is fetched once. */
export class SliceReader {
  readonly #bus: Bus
  readonly #topic: string
  readonly #records: Lru<Promise<Uint8Array | undefined>>
  readonly #gate = new Gate(fetchesMax)

  constructor(bus: Bus, topic: string, cacheBytesMax: number) {
    this.#bus = bus
    this.#topic = topic
    this.#records = new Lru(cacheBytesMax)
  }

  /**
   * In the order of `refs`. Rejects with what may pass, such as BUS_UNAVAILABLE; a slice that is gone,
   * or can never be read, is an answer.
   */
  async read(refs: readonly SpanRef[]): Promise<SliceRead[]> {
    const found = await Promise.all(refs.map(ref => this.#find(ref)))
    // Memory of their own, one for all: a view would keep a record of 128 KiB for a slice of 2 KiB.
    const bytes = found.reduce((sum, one) => sum + (one.kind === 'found' ? one.ref.length : 0), 0)
    const memory = Buffer.allocUnsafeSlow(bytes)
    let at = 0
    return found.map(one => {
      if (one.kind !== 'found') return one
      const { start, length } = one.ref
      memory.set(one.record.subarray(start, start + length), at)
      at += length
      return decoded(one.ref, memory.subarray(at - length, at))
    })
  }

  async #find(ref: SpanRef): Promise<Found> {
    try {
      const record = await this.#record(ref)
      if (record === undefined) return { kind: 'gone', ref }
      const { start, length } = ref
      const isWhole = Number.isSafeInteger(start) && Number.isSafeInteger(length)
      if (isWhole && start >= 0 && length >= 0 && start + length <= record.length) {
        return { kind: 'found', ref, record }
      }
      const error = `slice ${refKey(ref)} of ${length} bytes lies outside its record of ${record.length}`
      return { kind: 'unreadable', ref, error: new PipelineError('DATA_CORRUPT', error) }
    } catch (error) {
      return unreadable(ref, error)
    }
  }

  /** Undefined: gone. A fetch that failed is forgotten, so that the next one asks again. */
  #record(ref: SpanRef): Promise<Uint8Array | undefined> {
    const key = `${ref.partition}:${ref.offset}`
    const known = this.#records.get(key)
    if (known !== undefined) return known
    const fetching = this.#gate.run(() => this.#fetch(ref.partition, ref.offset))
    // Its size is not known before it is here; the slice's own length is the least it can be.
    this.#records.set(key, fetching, ref.length)
    fetching.then(
      value => this.#records.reweigh(key, fetching, value?.length ?? 1),
      () => this.#records.reweigh(key, fetching, undefined),
    )
    return fetching
  }

  async #fetch(partition: number, offset: number): Promise<Uint8Array | undefined> {
    try {
      const { value } = await this.#bus.fetch(this.#topic, partition, offset)
      // A view of a whole batch would keep that alive. Not `slice()`: of a Buffer that is a view too.
      return value.byteLength < value.buffer.byteLength / 2 ? new Uint8Array(value) : value
    } catch (error) {
      if (error instanceof PipelineError && error.code === 'OFFSET_GONE') return undefined
      throw error
    }
  }
}

function decoded(ref: SpanRef, bytes: Uint8Array): SliceRead {
  try {
    return { kind: 'read', ref, bytes, data: decodeTraces(bytes) }
  } catch (error) {
    return unreadable(ref, error)
  }
}

/** Throws what may pass, and what is a bug. */
function unreadable(ref: SpanRef, error: unknown): SliceRead & { kind: 'unreadable' } {
  if (!(error instanceof PipelineError) || isRetryable(error)) throw error
  return { kind: 'unreadable', ref, error }
}
