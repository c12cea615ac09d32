import { randomUUID } from 'node:crypto'
// biome-ignore lint/correctness/noUndeclaredDependencies: used by tests only, like the tests themselves.
import { expect, onTestFinished } from 'vitest'
import type { Batch, Bus, BusRecord, Lease, NewRecord, RangeRead } from './bus.ts'
import type { TopicSpec } from './topics.ts'

/** How an adapter is put through the suite. Tests whose hook is missing do not exist for it. */
export interface BusHarness {
  /** A bus on which exactly these topics exist, new and empty. Every test brings names of its own. */
  readonly open: (specs: readonly TopicSpec[]) => Promise<Bus>
  /** The bus of a second process on the same log. Absent: one bus serves both members. */
  readonly second?: (bus: Bus) => Promise<Bus>
  /** What the next process finds when this one was killed now, without a farewell. */
  readonly reopen?: (bus: Bus) => Promise<Bus>
  /** Lets retention pass everything that the partition holds now. */
  readonly expire?: (bus: Bus, topic: string, partition: number) => Promise<void>
  /** Deletes the topic with all it held and makes it again. */
  readonly recreate?: (bus: Bus, spec: TopicSpec) => Promise<Bus>
  /** Compacts a keyed topic now, where that can be asked for. */
  readonly compact?: (bus: Bus, topic: string) => Promise<void>
  /** One test at most; a Kafka rebalance takes seconds. */
  readonly timeoutMs?: number
}

export interface Suite {
  readonly harness: BusHarness
  readonly fact: (title: string, run: () => Promise<void>) => void
  readonly open: (...specs: TopicSpec[]) => Promise<{ bus: Bus; topic: string }>
}

export const partitions = 4
export const hourMs = 3_600_000
/** Far above what a read needs, far below a test's time: who waits this long was not woken. */
export const longWaitMs = 600_000
export const shortWaitMs = 40

export function rangeText(read: RangeRead): string {
  return read instanceof Uint8Array ? Buffer.from(read).toString() : read.code
}

/** Runs `use` with the lease of partition 0, then leaves. A failed membership fails the test. */
export async function withLease(
  bus: Bus,
  topic: string,
  group: string,
  use: (lease: Lease) => Promise<void>,
): Promise<void> {
  const done = Promise.withResolvers<void>()
  let isUsed = false
  const membership = bus.join(topic, group, async lease => {
    if (lease.partition !== 0 || isUsed) return
    isUsed = true
    await use(lease).then(done.resolve, done.reject)
  })
  await Promise.race([done.promise, membership.failed]).finally(() => membership.close())
}

export async function readLease(lease: Lease, count: number): Promise<BusRecord[]> {
  return collect(count, () => lease.read(1 << 20, 5000))
}

export async function readAll(
  bus: Bus,
  topic: string,
  partition: number,
  count: number,
  from = 0,
  bytesMax = 1 << 20,
): Promise<BusRecord[]> {
  let next = from
  return collect(count, async () => {
    const batch = await bus.read(topic, partition, next, bytesMax, 5000)
    next = (batch.records.at(-1)?.offset ?? next - 1) + 1
    return batch
  })
}

/** Copies what it collects: a value is borrowed only until the next read. */
export async function collect(count: number, read: () => Promise<Batch>): Promise<BusRecord[]> {
  const seen: BusRecord[] = []
  while (seen.length < count) {
    const batch = await read()
    expect(batch.records.length, 'a record that exists is returned in time').toBeGreaterThan(0)
    for (const record of batch.records) {
      seen.push({
        ...record,
        value: bytes(record.value),
        ...(record.key && { key: bytes(record.key) }),
        ...(record.header && { header: bytes(record.header) }),
      })
    }
  }
  return seen
}

/** Waits for a condition that a rebalance brings about; the test's own timeout is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5)
}

export function spec(): TopicSpec {
  const name = `contract.${randomUUID().slice(0, 13)}.1`
  return { name, partitions, retentionMs: hourMs, keyed: false }
}

export function closeAtEnd(bus: Bus): void {
  onTestFinished(() => bus.close())
}

export const bytes = (from: string | Uint8Array): Uint8Array =>
  Uint8Array.from(typeof from === 'string' ? Buffer.from(from) : from)

export const records = (...texts: string[]): NewRecord[] =>
  texts.map(value => ({ value: bytes(value) }))

export const text = (record: BusRecord): string => Buffer.from(record.value).toString()

export const plain = (record: BusRecord): unknown[] => [
  record.offset,
  record.appendedAtMs,
  text(record),
  record.key && String(record.key),
  record.header && String(record.header),
]

export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
