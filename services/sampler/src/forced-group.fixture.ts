import {
  type Batch,
  type Bus,
  type BusRecord,
  type Lease,
  type Membership,
  MemoryBus,
  type NewRecord,
  type Position,
  type ValueRange,
} from '@winnow/bus'
import {
  type CountingState,
  countingStart,
  countRecord,
  type Decision,
  type DecisionRecord,
  type Evidence,
  unpackSlices,
} from '@winnow/model'
import { Health, ManualClock, Metrics, PipelineError, silentLog } from '@winnow/runtime'
import type { BlobStore } from '@winnow/storage'
import { defaultSamplerConfig } from './config.ts'
import { defaultPolicy } from './policy-file.ts'
import { createSampler, type Sampler } from './sampler.ts'
import { specs, topics, until } from './world.fixture.ts'

/** What a test may do to the calls of one instance; the default does nothing. */
interface Faults {
  /** Before any call: a pause, or a crash. */
  before?: (call: string) => Promise<void>
  /** The sampler's own clock; absent: the log's. */
  nowMs?: () => number
  /** What becomes of an append to `decisions`. */
  append?: () => 'lands' | 'fails' | 'ack is lost' | 'lands late'
  /** Where its snapshots lie. */
  readonly blobs?: BlobStore
}

/** A group in which a former owner is told nothing: it runs on, and only its commits are refused. */
export class ForcedGroup {
  readonly clock = new ManualClock()
  readonly log = new MemoryBus(Object.values(specs), this.clock)
  readonly late: (() => Promise<unknown>)[] = []
  generation = 0
  position: Position | undefined

  constructor() {
    this.clock.advanceMs(1_000_000)
  }

  /** Makes a new owner of the partition. */
  assign(faults: Faults = {}): Owner {
    return new Owner(this, ++this.generation, faults)
  }

  async write(...evidence: Evidence[]): Promise<void> {
    const values = evidence.map(record => ({ value: Buffer.from(JSON.stringify(record)) }))
    await this.log.append(topics.evidence, 0, values)
  }

  async decisions(): Promise<Logged[]> {
    const { records } = await this.log.read(topics.decisions, 0, 0, 1e9, 0)
    let state: CountingState = countingStart
    return records.map(({ offset, value }) => {
      const record: DecisionRecord = unpackSlices(JSON.parse(Buffer.from(value).toString()))
      const step = countRecord(state, offset, record)
      state = step.state
      return { offset, record, counts: step.counts }
    })
  }

  async counting(): Promise<Decision[]> {
    const all = await this.decisions()
    return all.flatMap(({ record, counts }) =>
      counts && record.kind === 'decision' ? [record] : [],
    )
  }

  async settled(): Promise<void> {
    await until(async () => {
      const { end } = await this.log.bounds(topics.evidence, 0)
      return (this.position?.offset ?? 0) === end
    })
  }
}

interface Logged {
  readonly offset: number
  readonly record: DecisionRecord
  readonly counts: boolean
}

/** One sampler with its own view of the bus. */
export class Owner implements Bus {
  readonly group: ForcedGroup
  readonly generation: number
  readonly faults: Faults
  readonly sampler: Sampler
  readonly ended: Promise<void>
  readonly #ended = Promise.withResolvers<void>()

  constructor(group: ForcedGroup, generation: number, faults: Faults) {
    this.group = group
    this.generation = generation
    this.faults = faults
    this.ended = this.#ended.promise
    this.sampler = createSampler({
      bus: this,
      topics,
      group: 'sampler',
      policy: defaultPolicy,
      clock: {
        nowMs: () => faults.nowMs?.() ?? group.clock.nowMs(),
        sleep: (ms, signal) => group.clock.sleep(ms, signal),
      },
      log: silentLog,
      metrics: new Metrics(),
      health: new Health(),
      config: { ...defaultSamplerConfig, idleWait: 1, retryAfter: 1, snapshotEvery: 1 },
      ...(faults.blobs !== undefined && { blobs: faults.blobs }),
      by: `owner-${generation}`,
    })
    owners.push(this)
  }

  async start(): Promise<this> {
    await this.sampler.start()
    return this
  }

  join(_topic: string, _group: string, fold: (lease: Lease) => Promise<void>): Membership {
    const { group } = this
    let next = group.position?.offset ?? 0
    const lease: Lease = {
      partition: 0,
      committed: group.position,
      lost: new AbortController().signal,
      read: async (bytesMax, waitMs) => {
        const batch = await this.read(topics.evidence, 0, next, bytesMax, waitMs)
        next = (batch.records.at(-1)?.offset ?? next - 1) + 1
        return batch
      },
      commit: async position => {
        await this.#before('commit')
        if (this.generation !== group.generation) {
          throw new PipelineError('STALE_OWNER', 'another generation')
        }
        group.position = position
      },
    }
    const failed = Promise.withResolvers<never>()
    fold(lease).catch(failed.reject).finally(this.#ended.resolve)
    return { failed: failed.promise, close: () => this.ended }
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    await this.#before(`append ${topic}`)
    // Who gives an append up may use its bytes again: whatever lands later has its own, as every bus does.
    const own = records.map(record => ({ ...record, value: new Uint8Array(record.value) }))
    const land = () => this.group.log.append(topic, partition, own)
    const fate = topic === topics.decisions ? (this.faults.append?.() ?? 'lands') : 'lands'
    if (fate === 'lands') return land()
    if (fate === 'ack is lost') await land()
    if (fate === 'lands late') this.group.late.push(land)
    throw new PipelineError('BUS_UNAVAILABLE', fate)
  }

  async fetch(topic: string, partition: number, offset: number): Promise<BusRecord> {
    await this.#before('fetch')
    return this.group.log.fetch(topic, partition, offset)
  }

  async fetchRanges(topic: string, partition: number, ranges: readonly ValueRange[]) {
    await this.#before('fetchRanges')
    return this.group.log.fetchRanges(topic, partition, ranges)
  }

  async read(
    topic: string,
    p: number,
    from: number,
    bytesMax: number,
    waitMs: number,
  ): Promise<Batch> {
    await this.#before('read')
    // One decision a read: whoever forgets to read on has not folded the log.
    const max = topic === topics.decisions ? 1 : bytesMax
    return this.group.log.read(topic, p, from, max, waitMs)
  }

  async bounds(topic: string, partition: number) {
    await this.#before(`bounds ${topic}`)
    return this.group.log.bounds(topic, partition)
  }

  partitionCount(topic: string) {
    return this.group.log.partitionCount(topic)
  }

  logId(topic: string) {
    return this.group.log.logId(topic)
  }

  async committed() {
    return this.group.position
  }

  async close(): Promise<void> {}

  async #before(call: string): Promise<void> {
    await this.faults.before?.(call)
  }
}

export const owners: Owner[] = []
