import { randomBytes } from 'node:crypto'
import type { Bus, NewRecord } from '@winnow/bus'
import type { ColdHashers } from '@winnow/privacy'
import { isRetryable, type Log, type Metrics, type StageClock } from '@winnow/runtime'
import type { BlobStore, HotStore } from '@winnow/storage'
import { sayErasures } from './erasure-gauges.ts'
import {
  type Erasure,
  type ErasureWait,
  erasureChunkTraces,
  erasureRecord,
  forgottenRecord,
  isActive,
  isReceiptOver,
  noTracesRecord,
  nothingRemoved,
  type SetAside,
  tracesRecord,
} from './erasure-record.ts'
import { refusalOf } from './erasure-room.ts'
import { controlPartition, type Erasures } from './erasures.ts'
import { failingOf } from './failing.ts'
import { findTraces } from './find-traces.ts'
import { hasPassed } from './has-passed.ts'
import { hasOtherColdKey, jobHasher } from './job-hasher.ts'
import { searchAside, settingAside } from './set-aside.ts'
import { countTraces, type OnAside, type Progress, sweepTraces } from './sweep-traces.ts'

export interface EraserOptions {
  readonly bus: Bus
  /** Full names. */
  readonly topics: Readonly<Record<'spans' | 'evidence' | 'decisions' | 'control', string>>
  readonly hot: HotStore
  readonly blobs: BlobStore
  readonly hashers: ColdHashers
  /** Check value of the tenant's key that redaction makes tokens with; undefined where none is known here. */
  readonly tokenKeyCheck?: (tenant: string) => Promise<string | undefined>
  readonly erasures: Erasures
  readonly retentionMs: Readonly<Record<'spans' | 'evidence' | 'decisions', number>>
  /** How long the trace buffer holds a record; 0 without one. */
  readonly bufferLifeMs: number
  /** How long other processes may take to hear what is blocked, and to finish what they have in hand. */
  readonly settleMs: number
  readonly clock: StageClock
  readonly log: Log
  /** Without it nobody is told of those that do not go on. */
  readonly metrics?: Metrics
}

/** How often it looks for new erasures; whether the bus has let go of what they wait for; at one that failed. */
const lookEveryMs = 1_000
const waitingEveryMs = 10_000
const retryMs = 5_000
const damagedEveryMs = 60_000
const tidyEveryMs = 60_000

/** Between two records of how far it is. */
const tellEveryMs = 2_000

/**
 * Carries out the erasures of `control`. One runs at a time in a fleet, in the writer that owns the first
 * partition; a second one, a former owner, does nothing that the first would not do. All that it knows is in
 * `control`, so that another goes on where one was killed: what was removed is not found again, and what was
 * not is.
 */
export class Eraser {
  readonly #options: EraserOptions

  constructor(options: EraserOptions) {
    this.#options = options
  }

  /** Until `ended`. An erasure that fails is tried again; the others go on. */
  async run(ended: AbortSignal): Promise<void> {
    try {
      await this.#run(ended)
    } finally {
      // Whoever carries them out from now on says how they are.
      sayErasures(this.#options.metrics, [])
    }
  }

  async #run(ended: AbortSignal): Promise<void> {
    const { erasures, clock, log, metrics } = this.#options
    /** By erasure, when it is looked at again. */
    const dueAtMs = new Map<string, number>()
    let tidyAtMs = 0
    while (!ended.aborted) {
      sayErasures(metrics, erasures.all)
      for (const { id } of erasures.all.filter(isActive)) {
        const erasure = erasures.get(id)
        if (erasure === undefined || clock.nowMs() < (dueAtMs.get(id) ?? 0)) continue
        try {
          await this.advance(erasure, ended)
          const { aside } = (await this.#fares(id)) ?? erasure
          const everyMs = aside === undefined ? waitingEveryMs : damagedEveryMs
          dueAtMs.set(id, clock.nowMs() + everyMs)
        } catch (error) {
          if (ended.aborted) return
          // One that meets a damaged object must not end the writer: it stays what it is, and says so.
          log.error('writer.erasure_failed', error, { erasure: id })
          await this.#sayFailing(id, error)
          dueAtMs.set(id, clock.nowMs() + (isRetryable(error) ? retryMs : damagedEveryMs))
        }
      }
      if (clock.nowMs() >= tidyAtMs) {
        tidyAtMs = clock.nowMs() + tidyEveryMs
        await this.#tidy(ended)
      }
      await clock.sleep(lookEveryMs, ended)
    }
  }

  /** That a step went well, where the last one had not. */
  async #fares(id: string): Promise<Erasure | undefined> {
    const { erasures } = this.#options
    const erasure = erasures.get(id)
    if (erasure?.failing === undefined) return erasure
    const { failing: _failing, ...well } = erasure
    await this.#say([erasureRecord(well)])
    return well
  }

  /** For who asks how far it is. Where `control` itself does not answer the log line is all there is. */
  async #sayFailing(id: string, error: unknown): Promise<void> {
    const { erasures, clock, log } = this.#options
    const erasure = erasures.get(id)
    if (erasure === undefined || !isActive(erasure)) return
    const failing = failingOf(error, clock.nowMs())
    const { failing: before } = erasure
    if (before?.code === failing.code && before.text === failing.text) return
    try {
      await this.#say([erasureRecord({ ...erasure, failing })])
    } catch (again) {
      log.error('writer.erasure_failed', again, { erasure: id })
    }
  }

  /** Receipts whose time is over go, and what a killed process left of those that have ended. */
  async #tidy(ended: AbortSignal): Promise<void> {
    const { erasures, clock, log } = this.#options
    try {
      for (const one of erasures.all) {
        if (ended.aborted) return
        if (isActive(one)) continue
        const left = erasures.chunksOf(one.id).map(chunk => noTracesRecord(one.id, chunk))
        const records = isReceiptOver(one, clock.nowMs())
          ? [...left, forgottenRecord(one.id)]
          : left
        if (records.length > 0) await this.#say(records)
      }
    } catch (error) {
      if (!ended.aborted) log.error('writer.erasure_failed', error)
    }
  }

  /** As far as an erasure goes now: to its end, or to where only time helps. */
  async advance(erasure: Erasure, ended: AbortSignal): Promise<void> {
    const { failing: _failing, ...well } = erasure
    let now: Erasure = well
    if (now.state === 'running' && now.blockedAtMs !== undefined) now = { ...now, resumed: true }
    if (now.state === 'running' && now.blockedAtMs === undefined) now = await this.#find(now, ended)
    if (ended.aborted) return
    if (now.state === 'running') await this.#remove(now, ended)
    else if (now.state === 'waiting-for-retention') await this.#finish(now, ended)
  }

  async #find(erasure: Erasure, ended: AbortSignal): Promise<Erasure> {
    const { erasures, clock } = this.#options
    const { aside: _aside, ...asked } = erasure
    let now: Erasure = { ...asked, step: 'finding', looked: 0 }
    const aside: SetAside[] = []
    const onAside = settingAside(aside, 'finding', erasure.id, this.#options.log)
    const tell = this.#telling(() => now)
    const onLooked = async (): Promise<void> => {
      now = { ...now, looked: now.looked + 1 }
      await tell()
    }
    const otherKeys = await this.#otherKeys(erasure)
    if (otherKeys !== undefined) return this.#end(now, { state: 'refused', why: otherKeys })
    const found = await this.#tracesOf(erasure, onLooked, onAside, ended)
    if (ended.aborted) return now
    if (aside.length > 0) now = { ...now, aside }
    if (erasure.dryRun === true) {
      const { tenant } = erasure
      const removed = await countTraces(this.#options, tenant, found, onLooked, onAside)
      now = { ...now, found: found.size, removed, ...(aside.length > 0 && { aside }) }
      return this.#end(now, { state: 'done' })
    }
    await erasures.readToEnd()
    const why = refusalOf(erasures, erasure, found.size)
    if (why !== undefined)
      return this.#end({ ...now, found: found.size }, { state: 'refused', why })
    const ids = [...found].sort()
    // The traces first: once the job says that they are blocked, all of them are.
    for (let at = 0; at < ids.length; at += erasureChunkTraces) {
      // Who is no longer to do it leaves the rest to another, who may have found more.
      if (ended.aborted) return now
      await this.#say([tracesRecord(erasure.id, ids.slice(at, at + erasureChunkTraces))])
    }
    if (ended.aborted) return now
    const blocked: Erasure = {
      ...now,
      step: 'removing',
      looked: 0,
      found: erasures.tracesOf(erasure.id).length,
      blockedAtMs: clock.nowMs(),
    }
    await this.#say([erasureRecord(blocked)])
    return blocked
  }

  /** What to do where the job was made with other keys than the stores have, and so would find nothing. */
  async #otherKeys(erasure: Erasure): Promise<string | undefined> {
    const { tenant, keys } = erasure
    if (keys === undefined) return undefined
    const { hashers, tokenKeyCheck } = this.#options
    if (await hasOtherColdKey(hashers, erasure)) {
      return "it was asked for with another cold key of this tenant than the writer's, and would find nothing: mount the writers' keys (their data folder, keys/cold) in query, one folder for all, then ask again; where the key was rotated or destroyed meanwhile, ask again"
    }
    if (keys.tokens === undefined || keys.tokens === (await tokenKeyCheck?.(tenant)))
      return undefined
    return 'the value is redacted before the bus, and it was asked for with another token key of this tenant than the writer knows: give receiver, writer and query the same privacy.tokenKeys (WINNOW_PRIVACY_TOKEN_KEYS_FILE), then ask again'
  }

  async #tracesOf(
    erasure: Erasure,
    onLooked: () => Promise<void>,
    onAside: OnAside,
    ended: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const { tenant, field, tokens = [] } = erasure
    if (field === 'trace.id') return new Set(tokens)
    const { bus, topics, blobs, hashers, clock } = this.#options
    const hasher = await jobHasher(hashers, erasure)
    return findTraces({
      bus,
      spans: topics.spans,
      blobs,
      tenant,
      field,
      tokens,
      hasher,
      onLooked,
      onAside,
      clock,
      ended,
    })
  }

  async #remove(erasure: Erasure, ended: AbortSignal): Promise<void> {
    const { clock, settleMs, retentionMs, bufferLifeMs, topics } = this.#options
    const swept = await this.#sweep(erasure, ended, settleMs)
    if (swept === undefined) return
    const { blockedAtMs = 0, decidedAtMs = blockedAtMs } = swept
    const waits: ErasureWait[] = [
      { where: topics.spans, untilMs: blockedAtMs + retentionMs.spans },
      { where: topics.evidence, untilMs: blockedAtMs + retentionMs.evidence },
      {
        where: topics.decisions,
        untilMs: Math.max(blockedAtMs, decidedAtMs) + retentionMs.decisions,
      },
    ]
    if (bufferLifeMs > 0) waits.push({ where: 'buffer', untilMs: blockedAtMs + bufferLifeMs })
    await this.#say([
      erasureRecord({
        ...swept,
        state: 'waiting-for-retention',
        waits,
        removedAtMs: clock.nowMs(),
      }),
    ])
  }

  /** Looked at, not reckoned: what the bus still holds is what keeps it waiting. */
  async #finish(erasure: Erasure, ended: AbortSignal): Promise<void> {
    const { bus, topics, clock, bufferLifeMs } = this.#options
    const { blockedAtMs = 0, decidedAtMs = blockedAtMs } = erasure
    if (clock.nowMs() < blockedAtMs + bufferLifeMs) return
    const lastAtMs = Math.max(blockedAtMs, decidedAtMs)
    const isOver =
      (await hasPassed(bus, topics.spans, blockedAtMs)) &&
      (await hasPassed(bus, topics.evidence, blockedAtMs)) &&
      (await hasPassed(bus, topics.decisions, lastAtMs))
    if (!isOver) return
    const readable = await searchAside(this.#options, erasure)
    if (readable === 'unreadable') return
    if (readable === 'more') return this.#findAgain(erasure)
    // Once more, now that nobody can write them again: what a former owner of a partition had in hand.
    const swept = await this.#sweep(readable, ended, 0)
    if (swept === undefined) return
    if ((swept.decidedAtMs ?? 0) > lastAtMs) {
      // An evaluation that came late had one of them decided again, with its facts.
      const untilMs = (swept.decidedAtMs ?? 0) + this.#options.retentionMs.decisions
      const waits = swept.waits.map(wait =>
        wait.where === topics.decisions ? { ...wait, untilMs } : wait,
      )
      await this.#say([erasureRecord({ ...swept, waits })])
      return
    }
    // What nobody can read may hold them: it is not done before that is restored, or gone.
    if (swept.aside !== undefined) return this.#say([erasureRecord(swept)])
    await this.#end(swept, { state: 'done' })
  }

  /** An object that had not been readable has traces that nobody knew of: it begins anew, with all it has found. */
  async #findAgain(erasure: Erasure): Promise<void> {
    const { blockedAtMs: _blocked, removedAtMs: _removed, aside: _aside, ...rest } = erasure
    await this.#say([erasureRecord({ ...rest, state: 'running', step: 'finding', waits: [] })])
  }

  /** Undefined: `ended` came first. */
  async #sweep(
    erasure: Erasure,
    ended: AbortSignal,
    settleMs: number,
  ): Promise<Erasure | undefined> {
    const { erasures, clock } = this.#options
    await erasures.readToEnd()
    const traceIds = erasures.tracesOf(erasure.id)
    if (traceIds.length > 0) await clock.sleep(settleMs, ended)
    const { aside: before = [], ...asked } = erasure
    let now: Erasure = { ...asked, looked: 0 }
    // What could not be searched stays so, until it has been.
    const aside = before.filter(({ step }) => step === 'finding')
    const onAside = settingAside(aside, 'removing', erasure.id, this.#options.log)
    const tell = this.#telling(() => now)
    const onProgress = async (progress: Progress): Promise<void> => {
      now = {
        ...now,
        looked: progress.looked,
        removed: progress.removed,
        ...(progress.lastDecidedAtMs > 0 && { decidedAtMs: progress.lastDecidedAtMs }),
      }
      await tell(progress.mustBeSaid)
    }
    await sweepTraces(this.#options, now, traceIds, onProgress, onAside, ended)
    if (ended.aborted) return undefined
    return { ...now, ...(aside.length > 0 && { aside }) }
  }

  /** Its traces are blocked no more, and nothing of what was asked for is named. */
  async #end(erasure: Erasure, end: Pick<Erasure, 'state' | 'why'>): Promise<Erasure> {
    const { tokens: _tokens, keys: _keys, step: _step, ...rest } = erasure
    const ended: Erasure = { ...rest, ...end, endedAtMs: this.#options.clock.nowMs() }
    const { erasures } = this.#options
    const chunks = erasures.chunksOf(erasure.id).map(chunk => noTracesRecord(erasure.id, chunk))
    await this.#say([erasureRecord(ended), ...chunks])
    return ended
  }

  #telling(now: () => Erasure): (mustBeSaid?: boolean) => Promise<void> {
    const { clock } = this.#options
    let saidAtMs = clock.nowMs()
    return async (mustBeSaid = false) => {
      if (!mustBeSaid && clock.nowMs() - saidAtMs < tellEveryMs) return
      saidAtMs = clock.nowMs()
      await this.#say([erasureRecord(now())])
    }
  }

  async #say(records: readonly NewRecord[]): Promise<void> {
    const { bus, topics, erasures } = this.#options
    await bus.append(topics.control, controlPartition, records)
    await erasures.readToEnd()
  }
}

export function newErasure(asked: {
  readonly tenant: string
  readonly field: string
  readonly tokens: readonly string[]
  readonly keys?: Erasure['keys']
  readonly by: string | undefined
  readonly dryRun: boolean
  readonly tracesMax?: number | undefined
  readonly nowMs: number
}): Erasure {
  const { tenant, field, tokens, keys, by, dryRun, tracesMax, nowMs } = asked
  return {
    id: randomBytes(8).toString('hex'),
    tenant,
    field,
    tokens,
    ...(keys !== undefined && { keys }),
    ...(dryRun && { dryRun: true }),
    ...(tracesMax !== undefined && { tracesMax }),
    ...(by !== undefined && { by }),
    askedAtMs: nowMs,
    state: 'running',
    step: 'finding',
    looked: 0,
    found: 0,
    removed: nothingRemoved,
    waits: [],
  }
}
