import { PipelineError } from '@winnow/runtime'
import type {
  BlobInfo,
  BlobStore,
  BufferedRange,
  BufferedRecord,
  Checkpoint,
  HeldPeriod,
  HotStore,
  HotTrace,
  HotTraceRead,
  TraceBuffer,
  TracePage,
} from '@winnow/storage'
import type { Instance } from './instance.ts'
import { shortId } from './story.ts'

/** The blob store as one instance sees it. */
export class SimulatedBlobStore implements BlobStore {
  readonly #instance: Instance

  constructor(instance: Instance) {
    this.#instance = instance
  }

  create(key: string, bytes: Uint8Array): Promise<boolean> {
    const { world, id } = this.#instance
    const own = new Uint8Array(bytes)
    const tier = key.split('/')[0] ?? key
    return this.#instance.hold('create', `create ${tier}`, async () => {
      const created = await world.blobs.create(key, own)
      world.changes++
      world.count(`${created ? 'created' : 'found'}: ${tier}`)
      world.say?.(() => `${id}: ${created ? 'creates' : 'finds'} ${key}`)
      return created
    })
  }

  read(key: string, start?: number, length?: number): Promise<Uint8Array | undefined> {
    return this.#ask('blob read', () => this.#instance.world.blobs.read(key, start, length))
  }

  head(key: string): Promise<BlobInfo | undefined> {
    return this.#ask('blob head', () => this.#instance.world.blobs.head(key))
  }

  async *list(prefix: string): AsyncIterable<BlobInfo> {
    const all = await this.#ask('blob list', () =>
      Array.fromAsync(this.#instance.world.blobs.list(prefix)),
    )
    yield* all
  }

  rewrite(...call: Parameters<BlobStore['rewrite']>): Promise<boolean> {
    return this.#ask('blob rewrite', () => this.#instance.world.blobs.rewrite(...call))
  }

  delete(key: string): Promise<void> {
    return this.#ask('blob delete', () => this.#instance.world.blobs.delete(key))
  }

  async close(): Promise<void> {}

  #ask<T>(name: string, effect: () => Promise<T>): Promise<T> {
    return this.#instance.hold('look', name, effect)
  }
}

/** The hot store as one instance sees it; it has outages. */
export class SimulatedHotStore implements HotStore {
  readonly #instance: Instance

  constructor(instance: Instance) {
    this.#instance = instance
  }

  put(traces: readonly HotTrace[]): Promise<void> {
    const { world, id } = this.#instance
    return this.#instance.hold('put', 'put hot', async () => {
      if (world.isHotDown) {
        world.count('hot store was down')
        throw new PipelineError('STORE_UNAVAILABLE', 'the hot store is down')
      }
      for (const { decision, offset } of traces) {
        const held = await world.hot.get(decision.tenant, decision.traceId)
        if (held !== undefined && held.offset > offset) world.count('hot: older refused')
      }
      await world.hot.put(traces)
      world.changes++
      world.say?.(() => {
        const told = traces.map(
          ({ decision, offset }) => `${decision.tenant}/${shortId(decision.traceId)}@${offset}`,
        )
        return `${id}: puts hot ${told.join(' ')}`
      })
    })
  }

  periods(): Promise<readonly HeldPeriod[]> {
    return this.#ask('hot periods', () => this.#instance.world.hot.periods())
  }

  census(...call: Parameters<HotStore['census']>): ReturnType<HotStore['census']> {
    return this.#ask('hot census', () => this.#instance.world.hot.census(...call))
  }

  held(...call: Parameters<HotStore['held']>): ReturnType<HotStore['held']> {
    return this.#ask('hot held', () => this.#instance.world.hot.held(...call))
  }

  expire(nowMs: number): Promise<void> {
    return this.#ask('hot expire', () => this.#instance.world.hot.expire(nowMs))
  }

  get(tenant: string, traceId: string): Promise<HotTraceRead | undefined> {
    return this.#ask('hot get', () => this.#instance.world.hot.get(tenant, traceId))
  }

  search(filter: Parameters<HotStore['search']>[0]): Promise<TracePage> {
    return this.#ask('hot search', () => this.#instance.world.hot.search(filter))
  }

  erase(...call: Parameters<HotStore['erase']>): ReturnType<HotStore['erase']> {
    return this.#ask('hot erase', () => this.#instance.world.hot.erase(...call))
  }

  bytes(): Promise<number> {
    return this.#ask('hot bytes', () => this.#instance.world.hot.bytes())
  }

  async close(): Promise<void> {}

  #ask<T>(name: string, effect: () => Promise<T>): Promise<T> {
    return this.#instance.hold('look', name, effect)
  }
}

/** The trace buffer as one instance sees it: a cache, so that whatever goes wrong is a miss. */
export class SimulatedTraceBuffer implements TraceBuffer {
  readonly #instance: Instance

  constructor(instance: Instance) {
    this.#instance = instance
  }

  putRecords(logId: string, partition: number, records: readonly BufferedRecord[]): Promise<void> {
    const own = records.map(({ offset, value }) => ({ offset, value: new Uint8Array(value) }))
    return this.#use('buffer records', undefined, buffer =>
      buffer.putRecords(logId, partition, own),
    )
  }

  readRanges(
    logId: string,
    ranges: readonly BufferedRange[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const misses = ranges.map(() => undefined)
    return this.#use('read buffer', misses, buffer => buffer.readRanges(logId, ranges))
  }

  putCheckpoint(logId: string, partition: number, checkpoint: Checkpoint): Promise<void> {
    const { world, id } = this.#instance
    const own = { ...checkpoint, bytes: new Uint8Array(checkpoint.bytes) }
    return this.#use('put checkpoint', undefined, async buffer => {
      await buffer.putCheckpoint(logId, partition, own)
      world.count('checkpoint put')
      world.say?.(() => `${id}: puts checkpoint of spans/${partition} at ${own.offset}`)
    })
  }

  readCheckpoint(logId: string, partition: number): Promise<Checkpoint | undefined> {
    const { world, id } = this.#instance
    return this.#use('read checkpoint', undefined, async buffer => {
      const read = await buffer.readCheckpoint(logId, partition)
      world.count(read === undefined ? 'checkpoint missed' : 'checkpoint read')
      world.say?.(() => `${id}: reads checkpoint of spans/${partition}: ${read?.offset ?? 'none'}`)
      return read
    })
  }

  async close(): Promise<void> {}

  #use<T>(name: string, miss: T, effect: (buffer: TraceBuffer) => Promise<T>): Promise<T> {
    const { buffer } = this.#instance.world
    return this.#instance.hold('cache', name, () => effect(buffer), undefined, miss)
  }
}
