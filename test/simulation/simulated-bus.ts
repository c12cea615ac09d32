import type {
  Batch,
  Bus,
  BusRecord,
  Lease,
  Membership,
  NewRecord,
  Position,
  RangeRead,
  ValueRange,
} from '@winnow/bus'
import type { SimulatedGroups } from './groups.ts'
import type { Instance } from './instance.ts'
import { readBatch } from './simulated-read.ts'
import { tellRecord } from './story.ts'

/** The bus as one instance sees it: every call waits for the schedule. */
export class SimulatedBus implements Bus {
  readonly #instance: Instance
  readonly #groups: SimulatedGroups

  constructor(instance: Instance, groups: SimulatedGroups) {
    this.#instance = instance
    this.#groups = groups
  }

  partitionCount(topic: string): Promise<number> {
    // Asked once, at the start: a process that cannot start is started again by whoever runs it.
    return this.#instance.hold('sure', 'partition count', () => this.#bus.partitionCount(topic))
  }

  logId(topic: string): Promise<string> {
    return this.#ask('log id', () => this.#bus.logId(topic))
  }

  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    const { world, id } = this.#instance
    // The caller may use its bytes again once it was told that this failed.
    const own = records.map(record => ({ ...record, value: new Uint8Array(record.value) }))
    return this.#instance.hold('append', `append ${shortName(topic)}`, async () => {
      const offset = await world.append(topic, partition, own, id)
      world.say?.(() => {
        const told = own.map(({ value }, at) => tellRecord(offset + at, value))
        return `${id}: appends ${shortName(topic)}/${partition} ${told.join(' ')}`
      })
      return offset
    })
  }

  fetch(topic: string, partition: number, offset: number): Promise<BusRecord> {
    return this.#ask('fetch', () => this.#bus.fetch(topic, partition, offset))
  }

  fetchRanges(
    topic: string,
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]> {
    return this.#ask('fetch ranges', () => this.#bus.fetchRanges(topic, partition, ranges))
  }

  read(
    topic: string,
    partition: number,
    from: number,
    _bytesMax: number,
    waitMs: number,
  ): Promise<Batch> {
    return readBatch(this.#instance, topic, partition, from, waitMs)
  }

  bounds(topic: string, partition: number) {
    return this.#ask('bounds', () => this.#bus.bounds(topic, partition))
  }

  committed(topic: string, group: string, partition: number): Promise<Position | undefined> {
    return this.#ask('committed', async () => {
      const slot = this.#groups.slots.find(
        one => one.topic === topic && one.group === group && one.partition === partition,
      )
      return slot?.position
    })
  }

  join(_topic: string, group: string, fold: (lease: Lease) => Promise<void>): Membership {
    this.#groups.join(this.#instance, group, fold)
    return {
      // What a fold fails with the groups hear themselves.
      failed: new Promise<never>(() => {}),
      close: () => this.#groups.leave(this.#instance, group),
    }
  }

  async close(): Promise<void> {}

  get #bus() {
    return this.#instance.world.bus
  }

  #ask<T>(name: string, effect: () => Promise<T>): Promise<T> {
    return this.#instance.hold('ask', name, effect)
  }
}

/** `decisions` of `winnow.decisions.1`. */
export function shortName(topic: string): string {
  return topic.split('.')[1] ?? topic
}
