import {
  listSegments,
  readAllLedger,
  readAllSpans,
  readSegmentMetadata,
  type SegmentMetadata,
  type Tier,
} from '@winnow/storage'
import { type Counted, type CountedLog, traceKeyOf } from './counted.ts'
import { spanIdsAt } from './sent.ts'
import { shortId } from './story.ts'
import type { World } from './world.ts'

interface Segment {
  readonly key: string
  readonly metadata: SegmentMetadata
}

/** [8] Every counting decision lies in exactly one segment a tier, and every row is due. */
export async function checkSegments(
  world: World,
  partition: number,
  log: CountedLog,
): Promise<void> {
  const ledger = await segmentsOf(world, 'ledger', partition)
  const warm = await segmentsOf(world, 'warm', partition)
  const cold = await segmentsOf(world, 'cold', partition)
  const end = world.log(world.specs.decisions.name, partition).length
  let next = 0
  for (const segment of ledger) {
    const { a, b, after, rows } = segment.metadata
    if (a !== next)
      world.violate('8', `${segment.key} begins at ${a}, the one before ends at ${next}`)
    next = b + 1
    const own = log.counted.filter(({ offset }) => offset >= a && offset <= b)
    await checkLedger(world, segment, own)
    const state = log.states[b]
    if (state?.claim !== after.claim || state?.next !== after.next) {
      const said = JSON.stringify(after)
      world.violate('3', `${segment.key} says ${said} after ${b}, it is ${JSON.stringify(state)}`)
    }
    const due = rowsDue(world, own)
    const ofWarm = warm.filter(one => one.metadata.a === a)
    const got = await checkRows(world, segment, ofWarm, due)
    const ofCold = cold.filter(one => one.metadata.a === a)
    const hashed = await checkRows(world, segment, ofCold, due)
    if (!world.isLong && got !== hashed)
      world.violate('8', `${segment.key}: ${got} rows in warm, ${hashed} in cold`)
    const isStated = rows.ledger === own.length && (world.isLong || rows.warm === got)
    if (!isStated) world.violate('8', `${segment.key} states other rows than there are`)
  }
  if (next !== end) world.violate('8', `ledger/${partition} ends at ${next} of ${end}`)
  const begins = new Set(ledger.map(({ metadata }) => metadata.a))
  for (const { key, metadata } of [...warm, ...cold]) {
    if (!begins.has(metadata.a)) world.violate('8', `${key} has no ledger`)
  }
}

async function segmentsOf(world: World, tier: Tier, partition: number): Promise<Segment[]> {
  const all: Segment[] = []
  for await (const { key } of listSegments(world.blobs, tier, { partition })) {
    const metadata = await readSegmentMetadata(world.blobs, key)
    if (metadata !== undefined) all.push({ key, metadata })
  }
  return all.sort((x, y) => x.metadata.a - y.metadata.a)
}

async function checkLedger(world: World, { key }: Segment, own: readonly Counted[]): Promise<void> {
  const rows = await readAllLedger(world.blobs, key, [
    'sampling_offset',
    'verdict',
    'revision',
    'trace_id',
    'tenant',
  ])
  const told = rows.map(
    row => `${row.sampling_offset} ${row.tenant}/${row.trace_id} r${row.revision} ${row.verdict}`,
  )
  const due = own.map(
    ({ offset, decision: { tenant, traceId, revision, verdict } }) =>
      `${offset} ${tenant}/${traceId} r${revision} ${verdict}`,
  )
  const difference = new Set(told).symmetricDifference(new Set(due))
  if (difference.size > 0 || told.length !== due.length) {
    world.violate('8', `${key}: rows are not the counting decisions: ${[...difference].join(', ')}`)
  }
}

/** A row that a segment has to hold: a span, and the decisions that may have brought it. */
interface DueRow {
  readonly name: string
  readonly offsets: number[]
  /** Retention may have passed its bytes before the writer came. */
  mayBeGone: boolean
}

function rowsDue(world: World, own: readonly Counted[]): Map<string, DueRow> {
  const due = new Map<string, DueRow>()
  for (const { decision, offset, slices, writes } of own) {
    const { tenant, traceId } = decision
    for (const ref of writes) {
      const slice = slices.get(ref)
      if (slice === undefined) continue
      const isGone = world.isLong && world.nowMs - slice.appendedAtMs > 80_000_000
      for (const spanId of spanIdsAt(world, slice.ref)) {
        const key = `${traceKeyOf(tenant, traceId)} ${spanId}`
        const name = `${tenant}/${shortId(traceId)} ${spanId}`
        const known = due.get(key) ?? { name, offsets: [], mayBeGone: true }
        known.offsets.push(offset)
        known.mayBeGone &&= isGone
        due.set(key, known)
      }
    }
  }
  return due
}

/** Returns how many rows there are. */
async function checkRows(
  world: World,
  ledger: Segment,
  tier: readonly Segment[],
  due: ReadonlyMap<string, DueRow>,
): Promise<number> {
  const { a, b } = ledger.metadata
  const [segment] = tier
  if (tier.length > 1) world.violate('8', `${ledger.key} has two objects in one tier`)
  if (segment !== undefined && segment.metadata.b !== b) {
    world.violate('8', `${segment.key} ends at ${segment.metadata.b}, its ledger at ${b}`)
  }
  const rows = segment === undefined ? [] : await readAllSpans(world.blobs, segment.key)
  const seen = new Set<string>()
  for (const row of rows) {
    const key = `${traceKeyOf(row.tenant, row.trace_id)} ${row.span_id}`
    const one = due.get(key)
    const offset = Number(row.sampling_offset)
    if (seen.has(key)) world.violate('rows', `${segment?.key}: ${one?.name} is there twice`)
    seen.add(key)
    const isDue = world.isLong ? one?.offsets.includes(offset) : one?.offsets[0] === offset
    if (isDue !== true) {
      world.violate('rows', `${segment?.key}: ${key} of decision ${offset} is not due`)
    }
  }
  for (const [key, { name, mayBeGone }] of due) {
    if (!seen.has(key) && !mayBeGone) world.violate('rows', `[${a}, ${b}]: no row of ${name}`)
  }
  world.count('span rows', rows.length)
  return rows.length
}
