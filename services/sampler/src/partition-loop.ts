import type { Bus, BusRecord, Gap, Lease, NewRecord, Position } from '@winnow/bus'
import { PipelineError } from '@winnow/runtime'
import { BatchDecider, type Decided, type Group, type Pending } from './batch-decider.ts'
import { ChainCache, readSeries } from './chain-cache.ts'
import { claimOf } from './decision-record.ts'
import { DecisionsLog } from './decisions-log.ts'
import { EvidenceReader } from './evidence-reader.ts'
import { InFlight } from './in-flight.ts'
import { holdShare, releaseShare, tellShare } from './partition-share.ts'
import { PartitionState } from './partition-state.ts'
import { PatientCalls } from './patient-calls.ts'
import type { PoliciesInForce } from './policy-follower.ts'
import type { CompiledPolicy } from './rules.ts'
import type { Series } from './series.ts'
import type { Shared } from './shared.ts'
import { spread } from './state-snapshots.ts'

/** Bytes of one read, and about as many of decisions go into one append. */
export const readBytesMax = 1024 * 1024
export const appendBytesMax = 2 * 1024 * 1024

/**
 * The sampler's loop on one partition, step by step as protocol.md section 2 has it. Its memory is a
 * fold of `decisions`; evidence is done once the decisions on it were read back and count. Methods that
 * resolve with a boolean say whether the claim is still ours.
 *
 *   claim ─▶ fold decisions up to it ─▶ ┌▶ evidence ─▶ decide ─▶ append ─▶ read back ─▶ commit ─┐
 *     ▲                                 └────────────────────────┬──────────────────────────────┘
 *     └── accepted ◀── repeat the last commit ◀── another claim ─┘      (refused: leave)
 */
export class PartitionLoop {
  readonly #shared: Shared
  readonly #bus: Bus
  readonly #lease: Lease
  readonly #partition: number
  readonly #decisions: DecisionsLog
  readonly #calls: PatientCalls
  /** Own decisions not yet read back, by sequence number, their bytes, and what they use up. */
  readonly #unread = new Map<number, Pending>()
  #unreadBytes = 0
  readonly #inFlight = new InFlight()
  readonly #chains = new ChainCache()
  #state: PartitionState
  #position: Position = { offset: 0, note: '' }
  #claim = -1
  /** Those that the claim names. */
  #policies: PoliciesInForce | undefined
  #seq = 0
  #logTimeMs = 0
  #committedAtMs: number
  #baselinesAtMs: number
  #snapshotAtMs: number

  constructor(shared: Shared, lease: Lease) {
    this.#shared = shared
    this.#bus = shared.bus
    this.#lease = lease
    this.#partition = lease.partition
    this.#decisions = new DecisionsLog(shared, lease.partition)
    this.#state = this.#newState()
    this.#calls = new PatientCalls(shared, lease)
    this.#committedAtMs = this.#calls.answeredAtMs
    this.#baselinesAtMs = this.#calls.answeredAtMs
    this.#snapshotAtMs =
      this.#calls.answeredAtMs - spread(lease.partition, shared.config.snapshotEvery)
  }

  /** Resolves once the partition is given back or lost. Rejects when the process has to end. */
  async run(): Promise<void> {
    try {
      await this.#run()
    } catch (error) {
      const isStale = error instanceof PipelineError && error.code === 'STALE_OWNER'
      if (!isStale) throw error
      this.#shared.log.info('sampler.partition_lost', { partition: this.#partition })
    } finally {
      this.#forget()
      // Still a fold of the log, as far as it goes: should the partition come back, it goes on from there.
      if (this.#state.nextOffset > 0) this.#shared.kept.keep(this.#partition, this.#state)
      this.#shared.statuses.delete(this.#partition)
      this.#shared.positions.delete(this.#partition)
      releaseShare(this.#shared, this.#partition)
    }
  }

  async #run(): Promise<void> {
    const { evidence } = this.#shared.topics
    this.#calls.is('claiming')
    const { first } = await this.#ask(() => this.#bus.bounds(evidence, this.#partition))
    this.#position = this.#lease.committed ?? { offset: first, note: '' }
    const reader = new EvidenceReader(this.#bus, evidence, this.#lease, this.#position.offset)
    while (!(await this.#own(reader))) {
      this.#shared.log.warn('sampler.fenced', { partition: this.#partition })
      this.#calls.is('claiming')
      // Unchanged: the question is who owns the partition, not how far it is done.
      await this.#ask(() => this.#lease.commit(this.#position))
      reader.next = this.#position.offset
    }
  }

  /** All that happens until another claims. True when the partition was given back, false when fenced. */
  async #own(reader: EvidenceReader): Promise<boolean> {
    if (!(await this.#takeClaim())) return false
    const spent = [this.#state.spend, this.#inFlight.spend]
    const { ceilings } = this.#state
    await this.#ask(() => holdShare(this.#shared, this.#partition, spent, ceilings))
    this.#logTimeMs = this.#state.decidedAtMs
    this.#calls.is('running')
    while (!this.#shared.isStopping) {
      if (!(await this.#adopt(reader.next)) || !(await this.#turn(reader))) return false
    }
    await this.#commit(reader.next)
    await this.#tellShare()
    return true
  }

  /** With it takes effect what is in force now. False where it is not the current claim. */
  async #takeClaim(): Promise<boolean> {
    this.#forget()
    const policies = await this.#ask(() => this.#shared.policies.caughtUp())
    const claim = await this.#append([{ value: claimOf(this.#shared.by, policies) }])
    if (claim === undefined) return false
    this.#policies = policies
    this.#claim = claim
    if (this.#calls.status === 'claiming') this.#calls.is('folding')
    await this.#takeUp(claim)
    if (!(await this.#foldThrough(claim))) return false
    // A claim that retention passed before it was read stands nowhere any more: no reader could tell what counts.
    if (this.#state.head.counting.claim !== claim) return false
    this.#shared.spends.hold(this.#partition, [this.#state.spend, this.#inFlight.spend])
    return true
  }

  /** Another policy decides from another claim on, so that every reader knows from which offset. */
  async #adopt(next: number): Promise<boolean> {
    if (this.#shared.policies.current === this.#policies) return true
    // Whoever is not the owner any more learns it here, before its claim would fence the owner.
    this.#position = { offset: next, note: '' }
    await this.#ask(() => this.#lease.commit(this.#position))
    return this.#takeClaim()
  }

  /**
   * Begins with what is known of the partition already: here, or in a snapshot. Else all is folded. What
   * was folded beyond the claim may have a later one behind it, which would then never be read.
   */
  async #takeUp(claim: number): Promise<void> {
    const { topics, snapshots, kept } = this.#shared
    if (this.#state.nextOffset > 0) return
    const { first } = await this.#ask(() => this.#bus.bounds(topics.decisions, this.#partition))
    const place = { partition: this.#partition, logId: await this.#logId() }
    const stored = await snapshots?.load(place, { first, end: claim }, () => this.#newState())
    // What retention has passed unread is decisions that the fold lacks: then it is none.
    const usable = [kept.take(this.#partition), stored].filter(
      state => state !== undefined && state.nextOffset >= first && state.nextOffset <= claim,
    )
    const [furthest] = usable.sort((a, b) => (b?.nextOffset ?? 0) - (a?.nextOffset ?? 0))
    this.#state = furthest ?? this.#state
  }

  #logId(): Promise<string> {
    return this.#ask(() => this.#bus.logId(this.#shared.topics.decisions))
  }

  /** Beside everything else: the partition does not wait for it. */
  async #writeSnapshot(): Promise<void> {
    const { snapshots, clock } = this.#shared
    this.#snapshotAtMs = clock.nowMs()
    if (snapshots === undefined) return
    const place = { partition: this.#partition, logId: await this.#logId() }
    this.#shared.background(snapshots.write(place, this.#state))
  }

  /** One batch of evidence, from read to done. */
  async #turn(reader: EvidenceReader): Promise<boolean> {
    const { idleWait, commitEvery, baselinesEvery, snapshotEvery } = this.#shared.config
    const { records, gap } = await this.#ask(() => reader.read(readBytesMax, idleWait))
    this.#calls.checkOwned()
    if (gap !== undefined) this.#report(gap)
    // Whoever decides reads back; who has nothing to decide looks for another's claim all the same.
    if (!(await (records.length === 0 ? this.#tail(0) : this.#decide(records)))) return false
    this.#shared.positions.set(this.#partition, reader.next)
    const nowMs = this.#shared.clock.nowMs()
    if (records.length === 0 || nowMs >= this.#committedAtMs + commitEvery) {
      await this.#commit(reader.next)
    }
    if (nowMs >= this.#baselinesAtMs + baselinesEvery) await this.#tellShare()
    const { watch } = this.#shared
    if ((this.#watches || watch.hasSaid) && watch.isDue(nowMs)) await this.#lookAtVariants()
    if (nowMs >= this.#snapshotAtMs + snapshotEvery) await this.#writeSnapshot()
    return true
  }

  /** Appends in groups of a bounded size; a group is read back before more is appended. */
  async #decide(records: readonly BusRecord[]): Promise<boolean> {
    const { spends } = this.#shared
    const policies = this.#policies as PoliciesInForce
    const held = { state: this.#state, partition: this.#partition, inFlight: this.#inFlight }
    const decider = new BatchDecider(this.#shared, policies, held)
    const fetch = (offset: number) => this.#ask(() => this.#decisions.fetch(offset))
    decider.take(records, this.#logTimeMs)
    this.#logTimeMs = decider.logTimeMs
    for (let chunk = decider.nextChunk(); chunk.length > 0; chunk = decider.nextChunk()) {
      const entries = chunk.map(group => decider.needs(group))
      const lasts = entries.every(entry => entry === undefined)
        ? []
        : await this.#ask(() =>
            Promise.all(entries.map(entry => entry && this.#decisions.fetch(entry.offset))),
          )
      for (let at = 0; at < chunk.length; at++) {
        if (this.#watches && spends.isDue) await this.#ask(() => spends.exchange())
        const read = lasts[at]
        const series = read && (await readSeries(read, this.#chains, fetch))
        const isOurs = this.#decideGroup(decider, chunk[at] as Group, series)
        if (isOurs !== true && !(await isOurs)) return false
      }
    }
    return this.#flush()
  }

  /** Most traces are one record, appended with many others: then there is nothing to wait for. */
  #decideGroup(
    decider: BatchDecider,
    group: Group,
    series: Series | undefined,
  ): true | Promise<boolean> {
    const decided = decider.decide(group, series, this.#claim, this.#seq + 1)
    if (decided === undefined) return true
    const { decision, pending, earlier, isPartial } = decided
    this.#unread.set(++this.#seq, pending)
    this.#unreadBytes += pending.value.length
    if (series !== undefined && decision.prev === series.offset) {
      if (series.last.prev !== null) this.#chains.forget(series.last.prev)
      this.#chains.set(series.offset, earlier)
    }
    if (!isPartial && this.#unreadBytes < appendBytesMax) return true
    return this.#goOn(decider, group, decided)
  }

  /**
   * A group may say more than one record takes. The next link of the chain names the offset of the one
   * before, so that one is read back first.
   */
  async #goOn(decider: BatchDecider, group: Group, decided: Decided): Promise<boolean> {
    const { decision: last, earlier, isPartial } = decided
    if (!(await this.#flush())) return false
    if (!isPartial) return true
    const offset = this.#state.find(group.tenant, group.traceId)?.offset ?? -1
    return this.#decideGroup(decider, group, { offset, last, earlier, isCut: false })
  }

  /** Appends what was decided and reads it back: only then it is known to count. */
  async #flush(): Promise<boolean> {
    if (this.#unread.size === 0) return true
    const count = this.#unread.size
    const first = await this.#append([...this.#unread.values()])
    if (first === undefined || !(await this.#foldThrough(first + count - 1))) return false
    this.#inFlight.clear()
    this.#unreadBytes = 0
    if (this.#unread.size === 0) return true
    const where = `${this.#shared.topics.decisions}/${this.#partition}@${first}`
    throw new PipelineError(
      'DATA_CORRUPT',
      `${where}: own decisions do not count although no other claim came; the log lost a record`,
    )
  }

  async #foldThrough(offset: number): Promise<boolean> {
    while (this.#state.nextOffset <= offset) {
      if (!(await this.#tail(this.#shared.config.idleWait))) return false
      this.#calls.checkOwned()
    }
    return true
  }

  /** Folds what `decisions` has beyond the fold. False once a claim came that is not ours, or the fold is dropped. */
  async #tail(waitMs: number): Promise<boolean> {
    const { records, gap } = await this.#ask(() =>
      this.#decisions.read(this.#state.nextOffset, readBytesMax, waitMs),
    )
    if (gap !== undefined) {
      if (this.#state.nextOffset > 0) return this.#dropState(gap)
      this.#state.skipTo(gap.to, this.#decisions.heads(records))
    }
    for (const read of records) {
      const { offset } = read
      const own = this.#ownAt(read.value)
      const record = own?.outcome.decision ?? this.#decisions.head(read)
      if (this.#claim >= 0 && offset > this.#claim && record?.kind === 'claim') return false
      const counts = this.#state.apply(offset, record)
      if (!counts || own === undefined) continue
      this.#unread.delete(own.outcome.decision.seq)
      this.#shared.figures.counted(own.outcome)
    }
    return true
  }

  /**
   * Retention went by what was to be folded, after days away. What was folded before it knows of some
   * traces an earlier decision than their last: it is no fold, and all of it has outlived the index. False:
   * another claim begins with a snapshot of somebody who was awake, or with what is retained.
   */
  #dropState({ from, to }: Gap): false {
    this.#shared.log.warn('sampler.fold_dropped', { partition: this.#partition, from, to })
    this.#shared.spends.release(this.#partition)
    this.#state = this.#newState()
    return false
  }

  /** The own decision that is due to be read next, if these are its bytes; saves parsing them. */
  #ownAt(value: Uint8Array): Pending | undefined {
    const [next] = this.#unread.values()
    return next !== undefined && Buffer.compare(next.value, value) === 0 ? next : undefined
  }

  /**
   * Repeats the same records until they are acknowledged. Undefined after `maxStall` without an answer
   * from the bus: who slept so long has to ask first whether the partition is still its own.
   */
  async #append(records: readonly NewRecord[]): Promise<number | undefined> {
    const { topics, config, clock } = this.#shared
    let isStalled = false
    const first = await this.#ask(async () => {
      isStalled = clock.nowMs() - this.#calls.answeredAtMs > config.maxStall
      return isStalled ? -1 : this.#bus.append(topics.decisions, this.#partition, records)
    })
    return isStalled ? undefined : first
  }

  async #commit(offset: number): Promise<void> {
    this.#committedAtMs = this.#shared.clock.nowMs()
    if (offset === this.#position.offset) return
    const position = { offset, note: '' }
    await this.#ask(() => this.#lease.commit(position))
    this.#position = position
  }

  /** Nobody registered a variant: nothing is told, and nothing waits. */
  get #watches(): boolean {
    return this.#variants.length > 0
  }

  get #variants(): CompiledPolicy['variants'] {
    return this.#policies?.live.variants ?? []
  }

  #lookAtVariants(): Promise<void> {
    const { watch, clock } = this.#shared
    return this.#ask(() => watch.look(this.#variants, this.#logTimeMs, clock.nowMs()))
  }

  #tellShare(): Promise<void> {
    this.#baselinesAtMs = this.#shared.clock.nowMs()
    return tellShare(this.#shared, this.#partition, this.#logTimeMs)
  }

  #ask<T>(call: () => Promise<T>): Promise<T> {
    return this.#calls.ask(call)
  }

  #report({ from, to }: Gap): void {
    this.#shared.metrics.lostToRetention.inc(to - from)
    this.#shared.log.error('sampler.evidence_lost', 'retention passed evidence unread', {
      partition: this.#partition,
      from,
      to,
    })
  }

  /** All but the state, which is a fold of the log and nothing else. */
  #forget(): void {
    this.#shared.spends.release(this.#partition)
    this.#unread.clear()
    this.#unreadBytes = 0
    this.#inFlight.clear()
    this.#chains.clear()
    this.#seq = 0
    this.#claim = -1
  }

  #newState(): PartitionState {
    return new PartitionState(this.#shared.config, this.#shared.seed)
  }
}
