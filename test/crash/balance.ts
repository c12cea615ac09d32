import { sliceReader } from '@winnow/assembler'
import type { Bus, BusRecord } from '@winnow/bus'
import {
  type CloseReason,
  countRecord,
  type Decision,
  type PackedSlice,
  parseDecision,
  refKey,
  startOfCounting,
} from '@winnow/model'
import { decodeTraces } from '@winnow/otlp'
import {
  listSegments,
  readAllLedger,
  readAllSpans,
  readSegmentMetadata,
  type SegmentMetadata,
  type Tier,
} from '@winnow/storage'
import { sentSpans } from '@winnow/testing'
import { quietMs, rootlessMs, type System } from './systems.ts'
import type { Acknowledged } from './traffic.ts'

/** What the topics and the listing of the store say, and each way in which it does not add up. */
export interface Balance {
  readonly figures: Readonly<Record<string, number>>
  readonly violations: readonly string[]
}

/**
 * The whole account, from the log and the listing alone, once every process has ended:
 * acknowledged ⊆ on the bus; each slice in the decisions of exactly one trace; revisions only from drop
 * to keep; every counting decision in exactly one segment; every span of a kept trace in warm.
 */
export async function balanceOf(system: System, sent: Acknowledged): Promise<Balance> {
  const bus = await system.openBus()
  try {
    const spans = await readSpans(bus, system.specs.spans.name)
    const decisions = await readDecisions(bus, system.specs.decisions.name)
    const stored = await readSegments(system, await bus.logId(system.specs.decisions.name))
    const violations = [
      ...some('acknowledged spans are not on the bus', missingOf(sent, spans)),
      ...some('slices are in no decision', unaccounted(spans, decisions)),
      ...some('decisions do not follow', decisions.mistakes),
      ...some('traces were closed before their time', prematurelyClosed(decisions)),
      ...some('decisions count other spans than the bus has', miscounted(spans, decisions)),
      ...some('segments', stored.mistakes),
      ...some('decisions are not in one segment', unstored(decisions, stored)),
      ...some('kept traces are not whole in warm', incomplete(spans, decisions, stored)),
    ]
    const last = [...decisions.last.values()]
    return {
      figures: {
        acknowledgedSpans: distinctSpans(sent).size,
        spansOnBus: spans.records,
        distinctSpans: spans.distinct.size,
        slices: spans.slices.size,
        decisions: decisions.counting.size,
        notCounting: decisions.notCounting,
        claims: decisions.claims,
        kept: last.filter(({ verdict, sliceCount }) => verdict === 'keep' && sliceCount > 0).length,
        dropped: last.filter(({ verdict, sliceCount }) => verdict === 'drop' && sliceCount > 0)
          .length,
        fragments: last.filter(({ revision }) => revision > 1).length,
        segments: stored.segments,
        warmRows: stored.warmRows,
      },
      violations,
    }
  } finally {
    await bus.close()
  }
}

function some(what: string, mistakes: readonly string[]): string[] {
  if (mistakes.length === 0) return []
  return [`${mistakes.length} ${what}: ${mistakes.slice(0, 3).join('; ')}`]
}

async function* recordsOf(bus: Bus, topic: string, partition: number): AsyncGenerator<BusRecord> {
  const { first, end } = await bus.bounds(topic, partition)
  for (let next = first; next < end; ) {
    const { records } = await bus.read(topic, partition, next, 4 << 20, 1_000)
    for (const record of records) {
      yield record
      next = record.offset + 1
    }
  }
}

interface BusSpans {
  /** Rows, repeats included. */
  readonly records: number
  /** `<tenant>/<trace id>` of every slice by its ref. */
  readonly slices: ReadonlyMap<string, string>
  /** `<tenant>/<trace id>/<span id>`. */
  readonly distinct: ReadonlySet<string>
  readonly spansOfTrace: ReadonlyMap<string, ReadonlySet<string>>
}

async function readSpans(bus: Bus, topic: string): Promise<BusSpans> {
  const read = sliceReader()
  const slices = new Map<string, string>()
  const distinct = new Set<string>()
  const spansOfTrace = new Map<string, Set<string>>()
  let records = 0
  for (let partition = 0; partition < (await bus.partitionCount(topic)); partition++) {
    for await (const { offset, value, header } of recordsOf(bus, topic, partition)) {
      for (const slice of read(value, header)) {
        const { tenant, traceId, start, length, spanCount } = slice
        const trace = `${tenant}/${traceId}`
        slices.set(refKey({ partition, offset, start, length, spanCount }), trace)
        const own = spansOfTrace.get(trace) ?? new Set()
        spansOfTrace.set(trace, own)
        records += spanCount
        for (const { span } of sentSpans(decodeTraces(value.subarray(start, start + length)))) {
          own.add(span.spanId)
          distinct.add(`${tenant}/${span.traceId}/${span.spanId}`)
        }
      }
    }
  }
  return { records, slices, distinct, spansOfTrace }
}

interface Decisions {
  /** By `<partition>@<offset>`. */
  readonly counting: ReadonlyMap<string, Decision>
  readonly last: ReadonlyMap<string, Decision>
  /** All refs that the counting decisions of a trace name. */
  readonly refs: ReadonlyMap<string, string>
  /** What each revision of a trace brought, in the order of revisions. */
  readonly closes: ReadonlyMap<string, readonly Close[]>
  readonly mistakes: readonly string[]
  readonly notCounting: number
  readonly claims: number
}

/** The slices that came with one revision, by their append times. */
interface Close {
  readonly reason: CloseReason | null
  readonly firstMs: number
  readonly lastMs: number
}

function closeOf({ closeReason }: Decision, fresh: readonly PackedSlice[]): Close {
  const times = fresh.map(({ appendedAtMs }) => appendedAtMs)
  return { reason: closeReason, firstMs: Math.min(...times), lastMs: Math.max(...times) }
}

/** A trace that fell silent for less than its wait and was decided all the same: a fragment for nothing. */
function prematurelyClosed({ closes }: Decisions): string[] {
  return [...closes].flatMap(([trace, own]) =>
    own.slice(1).flatMap(({ firstMs }, at) => {
      const before = own[at]
      if (before === undefined || (before.reason !== 'root' && before.reason !== 'rootless'))
        return []
      const silentMs = firstMs - before.lastMs
      const wait = before.reason === 'root' ? quietMs : rootlessMs
      return silentMs >= wait ? [] : [`${trace} (${before.reason}) after ${silentMs} ms`]
    }),
  )
}

async function readDecisions(bus: Bus, topic: string): Promise<Decisions> {
  const counting = new Map<string, Decision>()
  const last = new Map<string, Decision>()
  const refs = new Map<string, string>()
  const mistakes: string[] = []
  const closes = new Map<string, Close[]>()
  let notCounting = 0
  let claims = 0
  for (let partition = 0; partition < (await bus.partitionCount(topic)); partition++) {
    let state = startOfCounting([])
    for await (const { offset, value } of recordsOf(bus, topic, partition)) {
      const parsed = parseDecision(Buffer.from(value).toString())
      if (parsed.kind !== 'record') throw new Error(`${topic}/${partition}@${offset} is no record`)
      const { record } = parsed
      const step = countRecord(state, offset, record)
      state = step.state
      if (record.kind === 'claim') claims++
      if (record.kind === 'decision' && !step.counts) notCounting++
      if (record.kind !== 'decision' || !step.counts) continue
      const trace = `${record.tenant}/${record.traceId}`
      const before = last.get(trace)
      if (record.revision !== (before?.revision ?? 0) + 1) {
        mistakes.push(`${trace} has revision ${record.revision} after ${before?.revision ?? 0}`)
      }
      if (before?.verdict === 'keep' && record.verdict === 'drop') {
        mistakes.push(`${trace} was kept and is dropped by revision ${record.revision}`)
      }
      const fresh = record.slices.filter(({ ref }) => !refs.has(refKey(ref)))
      if (fresh.length > 0) {
        const own = closes.get(trace) ?? []
        closes.set(trace, own)
        own.push(closeOf(record, fresh))
      }
      for (const { ref } of record.slices) {
        const other = refs.get(refKey(ref))
        if (other !== undefined && other !== trace)
          mistakes.push(`${trace} has a slice of ${other}`)
        refs.set(refKey(ref), trace)
      }
      counting.set(`${partition}@${offset}`, record)
      last.set(trace, record)
    }
  }
  return { counting, last, refs, closes, mistakes, notCounting, claims }
}

function distinctSpans({ requests }: Acknowledged): Set<string> {
  const all = new Set<string>()
  for (const { tenant, data } of requests) {
    for (const { span } of sentSpans(data)) all.add(`${tenant}/${span.traceId}/${span.spanId}`)
  }
  return all
}

function missingOf(sent: Acknowledged, { distinct }: BusSpans): string[] {
  return [...distinctSpans(sent).difference(distinct)]
}

function unaccounted({ slices }: BusSpans, { refs }: Decisions): string[] {
  const mistakes: string[] = []
  for (const [ref, trace] of slices) {
    if (refs.get(ref) !== trace) mistakes.push(`${ref} of ${trace}`)
  }
  for (const [ref, trace] of refs) {
    if (!slices.has(ref)) mistakes.push(`${ref} of ${trace} is not on the bus`)
  }
  return mistakes
}

function miscounted({ spansOfTrace }: BusSpans, { last }: Decisions): string[] {
  const mistakes: string[] = []
  for (const [trace, ids] of spansOfTrace) {
    const counted = last.get(trace)?.spanCount ?? 0
    if (counted !== ids.size) mistakes.push(`${trace} has ${ids.size}, decided on ${counted}`)
  }
  return mistakes
}

interface Stored {
  readonly mistakes: readonly string[]
  readonly segments: number
  readonly warmRows: number
  /** How often a decision is in the ledger, by `<partition>@<offset>`. */
  readonly ledger: ReadonlyMap<string, number>
  /** Distinct span ids in warm. */
  readonly warm: ReadonlyMap<string, ReadonlySet<string>>
}

async function readSegments(system: System, logId: string): Promise<Stored> {
  const blobs = await system.openBlobs()
  const mistakes: string[] = []
  const ledger = new Map<string, number>()
  const warm = new Map<string, Set<string>>()
  let warmRows = 0
  const listed: Record<Tier, SegmentMetadata[]> = { ledger: [], warm: [], cold: [] }
  for (const tier of ['ledger', 'warm', 'cold'] as const) {
    for await (const { key } of listSegments(blobs, tier)) {
      const metadata = await readSegmentMetadata(blobs, key)
      if (metadata === undefined) throw new Error(`${key} was listed and is gone`)
      if (metadata.logId !== logId) mistakes.push(`${key} is of another log`)
      listed[tier].push(metadata)
      if (tier === 'ledger') {
        const rows = await readAllLedger(blobs, key, ['sampling_partition', 'sampling_offset'])
        for (const row of rows) {
          const at = `${row.sampling_partition}@${row.sampling_offset}`
          ledger.set(at, (ledger.get(at) ?? 0) + 1)
        }
      }
      if (tier === 'warm') {
        const rows = await readAllSpans(blobs, key)
        warmRows += rows.length
        for (const { tenant, trace_id, span_id } of rows) {
          const trace = `${tenant}/${trace_id}`
          const own = warm.get(trace) ?? new Set()
          warm.set(trace, own.add(span_id))
        }
        if (rows.length !== metadata.rows.warm) mistakes.push(`${key} has ${rows.length} rows`)
      }
    }
  }
  mistakes.push(...gapsOf(listed.ledger), ...unlike(listed))
  const segments = listed.ledger.length + listed.warm.length + listed.cold.length
  return { mistakes, segments, warmRows, ledger, warm }
}

/** The ranges of a partition's ledger follow one another. */
function gapsOf(ledgers: readonly SegmentMetadata[]): string[] {
  return [...Map.groupBy(ledgers, ({ partition }) => partition)].flatMap(([partition, own]) => {
    const sorted = own.toSorted((one, other) => one.a - other.a)
    return sorted.flatMap(({ a }, at) => {
      const due = at === 0 ? 0 : (sorted[at - 1]?.b ?? 0) + 1
      return a === due ? [] : [`ledger/${partition} goes on at ${a}, not ${due}`]
    })
  })
}

/** Warm and cold exist for exactly the ledger's ranges that have rows. */
function unlike(listed: Readonly<Record<Tier, readonly SegmentMetadata[]>>): string[] {
  const name = ({ partition, a, b }: SegmentMetadata): string => `${partition} [${a}, ${b}]`
  return (['warm', 'cold'] as const).flatMap(tier => {
    const wanted = new Set(listed.ledger.filter(({ rows }) => rows[tier] > 0).map(name))
    const found = new Set(listed[tier].map(name))
    return [
      ...[...wanted.difference(found)].map(range => `${tier} lacks ${range}`),
      ...[...found.difference(wanted)].map(range => `${tier} has ${range} that no ledger has`),
    ]
  })
}

function unstored({ counting }: Decisions, { ledger }: Stored): string[] {
  const places = new Set([...counting.keys(), ...ledger.keys()])
  return [...places]
    .map(at => [at, counting.has(at) ? 1 : 0, ledger.get(at) ?? 0] as const)
    .filter(([, wanted, found]) => wanted !== found)
    .map(([at, wanted, found]) => `${at} is there ${found} times, not ${wanted}`)
}

function incomplete({ spansOfTrace }: BusSpans, { last }: Decisions, { warm }: Stored): string[] {
  return [...last].flatMap(([trace, { verdict, sliceCount }]) => {
    if (sliceCount === 0) return []
    const wanted = verdict === 'keep' ? (spansOfTrace.get(trace)?.size ?? 0) : 0
    const found = warm.get(trace)?.size ?? 0
    return wanted === found ? [] : [`${trace} has ${found} of ${wanted} spans`]
  })
}
