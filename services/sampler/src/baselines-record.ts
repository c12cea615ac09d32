import type { Bus } from '@winnow/bus'
import { acceptsVersion, writtenVersion } from '@winnow/model'
import type { BaselineEntry, Baselines } from './baselines.ts'
import { DDSketch } from './ddsketch.ts'
import { checkFormat } from './format.ts'
import type { Quantity } from './slow-rule.ts'

/** A partition's sketches as one record of the compacted `baselines` topic, under the partition's key. */
interface BaselinesRecord {
  readonly v: number
  readonly kind: 'baselines'
  readonly partition: number
  readonly keys: readonly {
    readonly tenant: string
    readonly service: string
    readonly operation: string
    readonly variant?: string
    /** Absent: durations in milliseconds. Costs in thousandths of a dollar. */
    readonly quantity?: Quantity
    /** `[pane number, first bucket, counts…]`, a run of n empty buckets as -n */
    readonly panes: readonly (readonly number[])[]
  }[]
}

/** The rarest keys are left out of a record that would be larger. */
export const baselinesBytesMax = 4 * 1024 * 1024

export function encodeBaselines(partition: number, entries: readonly BaselineEntry[]): Uint8Array {
  const rows: string[] = []
  let bytes = 64
  for (const { panes, ...key } of entries) {
    const row = JSON.stringify({
      ...key,
      panes: panes.map(([pane, sketch]) => [pane, ...sketch.toJSON()]),
    })
    bytes += Buffer.byteLength(row) + 1
    if (bytes > baselinesBytesMax) break
    rows.push(row)
  }
  return Buffer.from(
    `{"v":${writtenVersion('baselines')},"kind":"baselines","partition":${partition},"keys":[${rows.join(',')}]}`,
  )
}

/** Writes a partition's share under the partition's key, where it has grown since the last time. */
export async function writeBaselines(
  bus: Bus,
  topic: string,
  partition: number,
  baselines: Baselines,
): Promise<void> {
  if (!baselines.takeGrowth(partition)) return
  const entries = baselines.share(partition)
  const record = { key: Buffer.from(`${partition}`), value: encodeBaselines(partition, entries) }
  try {
    await bus.append(topic, partition, [record])
  } catch (error) {
    // A partition that falls silent now would else never be written.
    baselines.putBackGrowth(partition)
    throw error
  }
}

/** How long a read may take before what was found so far has to do. */
const readWaitMs = 2_000

/**
 * What a partition's owner wrote last, and the next offset after it. A partition of the topic has one key
 * alone, so its last record is all there is to know; only where that cannot be read are those before it.
 */
export async function lastBaselines(
  bus: Bus,
  topic: string,
  partition: number,
): Promise<{ readonly entries: readonly BaselineEntry[] | undefined; readonly next: number }> {
  const { first, end } = await bus.bounds(topic, partition)
  if (first >= end) return { entries: undefined, next: end }
  const last = await readBaselines(bus, topic, partition, end - 1, readWaitMs)
  if (last.entries !== undefined || first === end - 1) return last
  return readBaselines(bus, topic, partition, first, readWaitMs)
}

/** The last record at or after `from`, and the next offset to read. */
export async function readBaselines(
  bus: Bus,
  topic: string,
  partition: number,
  from: number,
  waitMs: number,
): Promise<{ readonly entries: readonly BaselineEntry[] | undefined; readonly next: number }> {
  let entries: readonly BaselineEntry[] | undefined
  let next = from
  for (;;) {
    const read = await bus.read(topic, partition, next, 2 * baselinesBytesMax, waitMs)
    for (const { value } of read.records.toReversed()) {
      const found = decodeBaselines(value)
      if (found === undefined) continue
      entries = found
      break
    }
    const last = read.records.at(-1)
    if (last === undefined) return { entries, next: Math.max(next, read.gap?.to ?? 0) }
    next = last.offset + 1
    const { end } = await bus.bounds(topic, partition)
    if (next >= end) return { entries, next }
  }
}

/**
 * Undefined for bytes that are no such record: a window without past costs an hour of warming up, and
 * nothing else. DATA_CORRUPT for a newer format, by name.
 */
export function decodeBaselines(value: Uint8Array): readonly BaselineEntry[] | undefined {
  let record: Partial<BaselinesRecord> | null
  try {
    record = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString())
  } catch {
    return undefined
  }
  checkFormat('baselines', record?.v, 'a record of baselines')
  if (!acceptsVersion('baselines', record?.v) || !Array.isArray(record?.keys)) return undefined
  const entries: BaselineEntry[] = []
  for (const entry of record.keys as readonly (Partial<BaselinesRecord['keys'][number]> | null)[]) {
    if (!isEntry(entry)) return undefined
    const { panes, ...key } = entry
    const sketches: [number, DDSketch][] = []
    for (const [pane, ...row] of panes) {
      const sketch = DDSketch.fromJSON(row)
      if (sketch === undefined || !Number.isSafeInteger(pane)) return undefined
      sketches.push([pane as number, sketch])
    }
    entries.push({ ...key, panes: sketches })
  }
  return entries
}

function isEntry(
  entry: Partial<BaselinesRecord['keys'][number]> | null,
): entry is BaselinesRecord['keys'][number] {
  return (
    typeof entry?.tenant === 'string' &&
    typeof entry.service === 'string' &&
    typeof entry.operation === 'string' &&
    Array.isArray(entry.panes) &&
    entry.panes.every(pane => Array.isArray(pane))
  )
}
