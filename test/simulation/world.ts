import { MemoryBus, type NewRecord, type TopicName, type TopicSpec, topicSpecs } from '@winnow/bus'
import { Metrics } from '@winnow/runtime'
import { MemoryBlobStore, MemoryHotStore, MemoryTraceBuffer } from '@winnow/storage'
import { Random } from '@winnow/testing'
import type { SentSlice } from './workload.ts'

/** A record as the log got it; kept for the checks, also when retention has passed it. */
export interface Logged {
  readonly offset: number
  readonly atMs: number
  readonly value: Uint8Array
  /** The instance that appended it, or `client`. */
  readonly by: string
  /** Of a record on `spans`: what it consists of. */
  readonly slices?: readonly SentSlice[]
}

export const dayMs = 86_400_000
const retentionMs = { spans: dayMs, evidence: dayMs, decisions: 4 * dayMs }
const startMs = Date.UTC(2026, 10, 21, 7)

/** What all instances of one run share: the time, the logs, the stores, and chance. */
export class World {
  readonly seed: number
  readonly random: Random
  readonly partitions: number
  /** Days pass in it: retention and the index's life really end. */
  readonly isLong: boolean
  readonly specs: Readonly<Record<TopicName, TopicSpec>>
  readonly bus: MemoryBus
  readonly blobs: MemoryBlobStore
  readonly hot = new MemoryHotStore()
  readonly buffer: MemoryTraceBuffer
  readonly metrics = new Metrics()
  readonly coverage = new Map<string, number>()
  readonly violations: Violation[] = []
  /** Log lines of all instances: what was lost must have been said. */
  readonly said: { readonly kind: string; readonly by: string; readonly fields: object }[] = []
  /** Undefined: nobody reads the story, so nobody tells it. */
  readonly say: ((line: () => string) => void) | undefined
  /** Faults have ended. */
  isCalm = false
  isHotDown = false
  nowMs = startMs
  steps = 0
  /** Appends, commits and puts so far: at rest there are no more. */
  changes = 0
  readonly #firsts = new Map<string, number>()
  readonly #logs: Record<string, Logged[][]> = {}

  constructor(seed: number, tell?: (line: string) => void) {
    this.seed = seed
    this.random = Random.of(seed, 1)
    this.partitions = this.random.chance(0.7) ? 1 : 2
    this.isLong = this.random.chance(0.08)
    const options = { prefix: 'winnow', generation: 1, partitions: this.partitions }
    const specs = topicSpecs(options)
    this.specs = specs
    // Retention is the adversary's: it knows then what was passed unread.
    const kept = Object.values(specs).map(spec => ({ ...spec, retentionMs: 0 }))
    const clock = { nowMs: () => this.nowMs }
    let logs = 0
    this.bus = new MemoryBus(kept, clock, () => `log-${seed}-${logs++}`)
    this.blobs = new MemoryBlobStore(clock)
    const bytesMax = this.random.pick([2_000, 1 << 26])
    this.buffer = new MemoryTraceBuffer({ clock, lifeMs: 600_000, bytesMax })
    for (const { name } of kept) {
      this.#logs[name] = Array.from({ length: this.partitions }, () => [])
    }
    if (tell !== undefined) {
      this.say = line =>
        tell(`${((this.nowMs - startMs) / 1000).toFixed(1).padStart(9)}  ${line()}`)
    }
  }

  count(what: string, times = 1): void {
    this.coverage.set(what, (this.coverage.get(what) ?? 0) + times)
  }

  violate(invariant: string, what: string): void {
    this.violations.push({ invariant, what })
  }

  /** Everything that was ever appended to a partition; `topic` is a full name. */
  log(topic: string, partition: number): readonly Logged[] {
    return this.#logs[topic]?.[partition] ?? []
  }

  /** The first offset that is retained. */
  first(topic: string, partition: number): number {
    return this.#firsts.get(`${topic}/${partition}`) ?? 0
  }

  async append(
    topic: string,
    partition: number,
    records: readonly NewRecord[],
    by: string,
    slices?: readonly SentSlice[],
  ): Promise<number> {
    const first = await this.bus.append(topic, partition, records)
    this.changes++
    const log = this.#logs[topic]?.[partition]
    for (const [at, { value }] of records.entries()) {
      const offset = first + at
      const { appendedAtMs } = await this.bus.fetch(topic, partition, offset)
      log?.push({
        offset,
        atMs: appendedAtMs,
        value: new Uint8Array(value),
        by,
        ...(slices !== undefined && { slices }),
      })
    }
    return first
  }

  /** Retention passes what is old. `decisions` keeps what `heldFrom` says is still to be read. */
  expire(heldFrom: (topic: string, partition: number) => number): void {
    for (const [short, lifeMs] of Object.entries(retentionMs)) {
      const { name } = this.specs[short as TopicName]
      for (let partition = 0; partition < this.partitions; partition++) {
        const log = this.log(name, partition)
        const first = this.first(name, partition)
        let to = first
        while (to < log.length && (log[to] as Logged).atMs < this.nowMs - lifeMs) to++
        const unread = Math.max(0, to - Math.max(first, heldFrom(name, partition)))
        if (short === 'decisions') to -= unread
        else if (unread > 0) this.count(`retention passed ${short} unread`, unread)
        if (to <= first) continue
        this.count(`retention passed ${short}`, to - first)
        this.say?.(() => `retention: ${short}/${partition} begins at ${to}`)
        this.bus.expire(name, partition, to)
        this.#firsts.set(`${name}/${partition}`, to)
      }
    }
  }
}

export interface Violation {
  readonly invariant: string
  readonly what: string
}
