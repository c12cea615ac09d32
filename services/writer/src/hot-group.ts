import type { Batch, Bus, BusRecord, Lease } from '@winnow/bus'
import { type CountingState, countingStart, type DecisionHead, refKey } from '@winnow/model'
import type { Log, Metrics, StageClock } from '@winnow/runtime'
import {
  defaultHotLife,
  emptyPack,
  type HotBody,
  type HotTrace,
  type LoggedDecision,
} from '@winnow/storage'
import type { Abreast, Runner } from './abreast.ts'
import type { Chain, ChainReader } from './chain.ts'
import { hotCommitEveryMs, hotPace, idleWaitMs, readBytesMax, type WriterConfig } from './config.ts'
import { type FoldedRecord, foldRecords, type RecordParser } from './decisions-reader.ts'
import type { Erasures } from './erase/erasures.ts'
import type { HotPuts } from './hot-puts.ts'
import { type KeptReader, type Piece, windowsOf } from './kept-reader.ts'
import { Ownership } from './ownership.ts'
import { stateOf } from './position.ts'
import { untilDone } from './retry.ts'

export interface HotGroupOptions {
  readonly bus: Bus
  /** Full name of the `decisions` topic. */
  readonly decisions: string
  readonly hotPuts: HotPuts
  readonly abreast: Abreast
  readonly kept: KeptReader
  readonly chains: ChainReader
  readonly parser: RecordParser
  /** Traces that must not come back; without it there are none. */
  readonly erasures?: Erasures | undefined
  readonly config: WriterConfig
  readonly clock: StageClock
  readonly log: Log
  readonly metrics: Metrics
  /** The writer is to stop. */
  readonly stopping: AbortSignal
}

/**
 * Keeps the hot store in step with one partition of `decisions`. It has its own position: a store that
 * refuses makes this group lag and nothing else, and for a slow one the segments wait as long as
 * {@link Abreast} lets them, so that no bodies expire. What it puts twice, after a crash or as a former
 * owner, changes nothing.
 */
export async function runHotGroup(lease: Lease, options: HotGroupOptions): Promise<void> {
  const runner = options.abreast.enter(lease.partition, 'hot', lease.committed?.offset)
  try {
    await runWith(runner, lease, options)
  } finally {
    runner.leave()
  }
}

async function runWith(runner: Runner, lease: Lease, options: HotGroupOptions): Promise<void> {
  const { clock } = options
  const { partition } = lease
  const giveUp = new AbortController()
  const ended = AbortSignal.any([lease.lost, options.stopping, giveUp.signal])
  let state = stateOf(lease.committed?.note)
  const ownership = new Ownership(lease, clock, options.config.maxStall)
  let isBegun = false
  let uncommitted: FoldedRecord | undefined
  let committedAtMs = clock.nowMs()
  let last: BusRecord | undefined
  const isDue = (): boolean => clock.nowMs() - committedAtMs >= hotCommitEveryMs
  const commit = async ({ offset, after }: FoldedRecord): Promise<void> => {
    await ownership.commit(offset + 1, after)
    uncommitted = undefined
    committedAtMs = clock.nowMs()
  }
  while (!ended.aborted) {
    while (last && (await runner.pace(last.offset + 1, last.appendedAtMs, hotPace, ended))) {
      if (uncommitted !== undefined && isDue() && !ended.aborted) await commit(uncommitted)
    }
    const batch = await lease.read(readBytesMax, idleWaitMs)
    ownership.heard()
    const [first] = batch.records
    last = batch.records.at(-1) ?? last
    // What was in a gap may have been a claim: nothing is known behind it.
    if (batch.gap !== undefined) state = countingStart
    if (first !== undefined && !isBegun) ownership.beginAt(first.offset, state)
    isBegun ||= first !== undefined
    const folded = fold(batch, state, partition, options)
    const isOurs = async (): Promise<boolean> => {
      if (!(await ownership.isOurs())) giveUp.abort()
      return !giveUp.signal.aborted
    }
    if (!(await putAll(ended, partition, folded, isOurs, options))) break
    uncommitted = folded.at(-1) ?? uncommitted
    state = uncommitted?.after ?? state
    if (uncommitted === undefined) {
      await ownership.commitUnanswered()
      continue
    }
    if (batch.records.length === 0 || isDue()) await commit(uncommitted)
  }
  if (uncommitted !== undefined && !lease.lost.aborted && !giveUp.signal.aborted)
    await commit(uncommitted)
}

function fold(
  batch: Batch,
  state: CountingState,
  partition: number,
  { log, parser }: HotGroupOptions,
): FoldedRecord[] {
  if (batch.gap !== undefined) log.warn('writer.hot_gap', { partition, ...batch.gap })
  return foldRecords(
    batch.records,
    state,
    (value, offset) => parser.parse(partition, offset, value),
    (offset, what) => log.warn(what, { partition, offset }),
  )
}

/** A keep that awaits its spans, or whose bytes have left the bus, is no kept trace to be found. */
function isStored({ verdict, sliceCount, gone }: LoggedDecision['decision']): boolean {
  return verdict === 'keep' && sliceCount > 0 && gone !== true
}

/** False once it is to end. Repeats until the store has everything: nothing is dropped here. */
async function putAll(
  ended: AbortSignal,
  partition: number,
  folded: readonly FoldedRecord[],
  isOurs: () => Promise<boolean>,
  options: HotGroupOptions,
): Promise<boolean> {
  const { bus, decisions, hotPuts, erasures, config, clock, log, metrics } = options
  const kept = folded.filter(
    ({ logged }) =>
      logged !== undefined &&
      isStored(logged.decision) &&
      erasures?.has(logged.decision.tenant, logged.decision.traceId) !== true,
  )
  let isWhole = true
  const chainOf = async (record: FoldedRecord): Promise<Chain | undefined> => {
    const chain = await untilDone(
      ended,
      partition,
      clock,
      () => options.chains.read(partition, record),
      error => log.error('writer.hot_read_failed', error, { partition }),
    )
    isWhole = chain !== undefined
    return chain
  }
  const limits = { piecesMax: config.hotBatch, bytesMax: config.hotBatchBytes }
  for await (const window of windowsOf(kept, chainOf, limits)) {
    const traces = await untilDone(
      ended,
      partition,
      clock,
      async () => hotTraces(await bus.logId(decisions), partition, window, options.kept),
      error => log.error('writer.hot_read_failed', error, { partition }),
    )
    if (traces === undefined) return false
    // What was read before its trace was blocked may wait here as long as the store is away.
    const isWanted = ({ decision }: HotTrace): boolean =>
      erasures?.has(decision.tenant, decision.traceId) !== true
    // Read once, however long the store is away: what has been read can no longer expire.
    const isPut = await untilDone(
      ended,
      partition,
      clock,
      async () => (await isOurs()) && hotPuts.put(traces.filter(isWanted)).then(() => true),
      error => log.error('writer.hot_put_failed', error, { partition }),
    )
    if (isPut !== true) return false
    metrics.tierObjects.inc({ tier: 'hot' }, window.filter(({ isLast }) => isLast).length)
    metrics.tierBytes.inc({ tier: 'hot' }, bodyBytes(traces))
    for (const trace of traces) {
      metrics.keptBytes.inc({ rule: trace.decision.primary }, bodyBytes([trace]))
    }
  }
  return isWhole
}

async function hotTraces(
  logId: string,
  partition: number,
  window: readonly Piece[],
  kept: KeptReader,
): Promise<HotTrace[]> {
  const read = await kept.read(partition, window)
  return window.flatMap(({ record }, at) => {
    const { logged, offset } = record
    const { spans = emptyPack, bodies = [] } = read[at] ?? {}
    if (logged === undefined) return []
    const { decision, head: json } = logged
    if ('matched' in decision) return []
    const young = isOld(decision) ? youngBodies(logged, bodies) : bodies
    return [{ decision, json, logId, partition, offset, spans, bodies: young }]
  })
}

/** Where `spans` is retained for longer than text may be held, a late keep finds bytes that are older than that. */
function isOld({ decidedAtMs, firstSpanAtMs }: DecisionHead): boolean {
  return firstSpanAtMs !== null && decidedAtMs - firstSpanAtMs >= defaultHotLife.textMs
}

/** Those that came within a text's life. Slices of a chain lie in earlier records: they are taken for old. */
function youngBodies(
  { decision, slices }: LoggedDecision,
  bodies: readonly HotBody[],
): readonly HotBody[] {
  const oldestMs = decision.decidedAtMs - defaultHotLife.textMs
  const young = new Set(
    slices.flatMap(({ ref, appendedAtMs }) => (appendedAtMs > oldestMs ? [refKey(ref)] : [])),
  )
  return bodies.filter(({ ref }) => young.has(ref))
}

function bodyBytes(traces: readonly HotTrace[]): number {
  let sum = 0
  for (const { bodies } of traces) for (const { bytes } of bodies) sum += bytes.length
  return sum
}
