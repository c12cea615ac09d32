import type { Bus } from '@winnow/bus'
import { refKey, type SpanRef } from '@winnow/model'
import { decodeTraces, type TracesData } from '@winnow/otlp'
import { PipelineError } from '@winnow/runtime'
import { fetchesMax } from './config.ts'
import { Lru } from './lru.ts'

/** A slice read back from `spans`: its bytes and what they say, or why there are none. */
export type SliceRead =
  | {
      readonly kind: 'read'
      readonly ref: SpanRef
      readonly bytes: Uint8Array
      readonly data: TracesData
    }
  /** Retention has passed the record. */
  | { readonly kind: 'gone'; readonly ref: SpanRef }
  /** The bytes are not those that the decision means. Nothing can be done, so it is said. */
  | { readonly kind: 'unreadable'; readonly ref: SpanRef; readonly error: PipelineError }

/**
 * Reads the bodies of kept traces where they lie. Both groups of a writer share one, so that a slice is
 * fetched and decoded once for the hot store and the segments together.
 */
export class SliceReader {
  readonly #bus: Bus
  readonly #topic: string
  readonly #slices: Lru<Promise<SliceRead>>
  readonly #records: Lru<Promise<Uint8Array | undefined>>
  readonly #waiting: (() => void)[] = []
  #fetching = 0

  constructor(bus: Bus, topic: string, cacheBytesMax: number) {
    this.#bus = bus
    this.#topic = topic
    this.#slices = new Lru(cacheBytesMax / 2)
    this.#records = new Lru(cacheBytesMax / 2)
  }

  /** In the order of `refs`. Rejects with BUS_UNAVAILABLE; a slice that is gone is an answer. */
  read(refs: readonly SpanRef[]): Promise<SliceRead[]> {
    return Promise.all(refs.map(ref => this.#slice(ref)))
  }

  #slice(ref: SpanRef): Promise<SliceRead> {
    const key = refKey(ref)
    const known = this.#slices.get(key)
    if (known !== undefined) return known
    const reading = this.#record(ref).then(value => cut(ref, value))
    this.#slices.set(key, reading, ref.length)
    reading.catch(() => this.#slices.set(key, reading, Number.POSITIVE_INFINITY))
    return reading
  }

  #record(ref: SpanRef): Promise<Uint8Array | undefined> {
    const key = `${ref.partition}:${ref.offset}`
    const known = this.#records.get(key)
    if (known !== undefined) return known
    const fetching = this.#fetch(ref.partition, ref.offset)
    // Its size is not known before it is here; the slice's own length is the least it can be.
    this.#records.set(key, fetching, ref.length)
    fetching.then(
      value => this.#records.set(key, fetching, value?.length ?? 1),
      () => this.#records.set(key, fetching, Number.POSITIVE_INFINITY),
    )
    return fetching
  }

  async #fetch(partition: number, offset: number): Promise<Uint8Array | undefined> {
    if (this.#fetching >= fetchesMax) await new Promise<void>(go => this.#waiting.push(go))
    this.#fetching++
    try {
      // The record is borrowed until the next read; the caches hold it longer.
      return (await this.#bus.fetch(this.#topic, partition, offset)).value.slice()
    } catch (error) {
      if (error instanceof PipelineError && error.code === 'OFFSET_GONE') return undefined
      throw error
    } finally {
      this.#fetching--
      this.#waiting.shift()?.()
    }
  }
}

function cut(ref: SpanRef, value: Uint8Array | undefined): SliceRead {
  if (value === undefined) return { kind: 'gone', ref }
  try {
    if (ref.start + ref.length > value.length) {
      throw new PipelineError('DATA_CORRUPT', `slice ${refKey(ref)} ends past its record`)
    }
    const bytes = value.subarray(ref.start, ref.start + ref.length)
    return { kind: 'read', ref, bytes, data: decodeTraces(bytes) }
  } catch (error) {
    if (error instanceof PipelineError) return { kind: 'unreadable', ref, error }
    throw error
  }
}
