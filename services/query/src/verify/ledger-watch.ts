import { randomInt } from 'node:crypto'
import type { Bus } from '@winnow/bus'
import {
  type Component,
  isRetryable,
  type Log,
  type Metrics,
  type StageClock,
} from '@winnow/runtime'
import type { DecisionItem } from '../decision-item.ts'
import { type LedgerReport, ReportBuilder } from './ledger-report.ts'
import { PartitionVerifier } from './partition-verifier.ts'
import { TenantSums } from './tenant-sums.ts'
import { stageGroups, verifyTopics } from './verify-topics.ts'

export interface LedgerWatchOptions {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: { readonly spans: string; readonly evidence: string; readonly decisions: string }
  /** Pause between two looks at the log; 0: it is looked at when somebody asks. */
  readonly everyMs: number
  /** Slices held over all partitions. */
  readonly slicesMax: number
  readonly clock: StageClock
  readonly log: Log
  readonly metrics: Metrics
}

/** Records of `spans` that have been read, of those there are. */
export interface Progress {
  readonly done: number
  readonly of: number
}

/** A report that is under way, or the last one. */
interface Run {
  readonly report: Promise<LedgerReport>
  readonly progress: () => Progress
  endedAtMs: number | undefined
}

/**
 * Keeps the ledger of all partitions in step with the log, so that a request reads only what is new, and
 * states the imbalance as a metric. What fails here is logged and asked again: no stage depends on it.
 */
export class LedgerWatch implements Component {
  readonly #options: LedgerWatchOptions
  readonly #tenants = new TenantSums()
  readonly #stop = new AbortController()
  /** By tenant; undefined: of all. */
  readonly #reports = new Map<string | undefined, Run>()
  readonly #fulls = new Map<string | undefined, Run>()
  /** Partitions that are looked at before their time. */
  readonly #hastened = new Set<number>()
  #verifiers: readonly PartitionVerifier[] = []
  #turn: Promise<unknown> = Promise.resolve()
  #loop: Promise<void> | undefined

  constructor(options: LedgerWatchOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { bus, topics, slicesMax } = this.#options
    const partitions = await bus.partitionCount(topics.spans)
    const options = {
      bus,
      topics,
      groups: stageGroups,
      tenants: this.#tenants,
      slicesMax: Math.max(1, Math.floor(slicesMax / partitions)),
      overMax: 'slide' as const,
      reads: 'undecided' as const,
      seed: randomInt(2 ** 32),
    }
    this.#verifiers = Array.from({ length: partitions }, (_, partition) => {
      return new PartitionVerifier(options, partition)
    })
    if (this.#options.everyMs > 0) this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#loop
    await this.#turn.catch(() => undefined)
    await Promise.allSettled(Array.from(this.#fulls.values(), ({ report }) => report))
  }

  /** A record of `decisions` that another reader has parsed; they come in order. */
  offer(partition: number, item: DecisionItem): void {
    const verifier = this.#verifiers[partition]
    // Who looks only when asked would hold them for nothing.
    if (verifier === undefined || this.#options.everyMs === 0) return
    const { decisions } = verifier
    decisions.offer(item)
    if (decisions.waitingChars >= waitingCharsMax) this.#hasten(partition, verifier)
  }

  /** Texts that wait grow old, and cost their collector more than those that are taken young. */
  #hasten(partition: number, verifier: PartitionVerifier): void {
    if (this.#hastened.has(partition) || this.#stop.signal.aborted) return
    this.#hastened.add(partition)
    this.#exclusive(() => verifier.advance())
      // The next look meets it too, and says so.
      .catch(() => undefined)
      .finally(() => this.#hastened.delete(partition))
  }

  /** Of one tenant or all, as of now; how far it is where it takes longer than `waitMs`. */
  report(tenant: string | undefined, waitMs: number): Promise<LedgerReport | Progress> {
    return this.#asked(this.#reports, tenant, 0, waitMs, () => ({
      report: this.#exclusive(() => this.#settle(tenant)),
      progress: () => this.#progress(),
    }))
  }

  /** All that is retained, from scratch. Whoever asks shortly after it has ended gets the same again. */
  full(tenant: string | undefined, waitMs: number): Promise<LedgerReport | Progress> {
    const { bus, topics, slicesMax } = this.#options
    return this.#asked(this.#fulls, tenant, fullKeptMs, waitMs, () => {
      let progress: Progress = { done: 0, of: 0 }
      const report = verifyTopics({
        bus,
        topics,
        ...(tenant !== undefined && { tenant }),
        slicesMax,
        onProgress: (done, of) => {
          this.#stop.signal.throwIfAborted()
          progress = { done, of }
        },
      })
      return { report, progress: () => progress }
    })
  }

  /** All who ask while one is under way wait for the same one. */
  async #asked(
    runs: Map<string | undefined, Run>,
    tenant: string | undefined,
    keptMs: number,
    waitMs: number,
    start: () => Omit<Run, 'endedAtMs'>,
  ): Promise<LedgerReport | Progress> {
    const { clock } = this.#options
    let run = runs.get(tenant)
    if (run?.endedAtMs !== undefined && clock.nowMs() >= run.endedAtMs + keptMs) run = undefined
    if (run === undefined) {
      const started: Run = { ...start(), endedAtMs: undefined }
      const end = (): void => {
        started.endedAtMs = clock.nowMs()
      }
      started.report.then(end, end)
      runs.set(tenant, started)
      run = started
    }
    const late = new AbortController()
    const waited = clock.sleep(waitMs, late.signal).then(() => undefined)
    try {
      return (await Promise.race([run.report, waited])) ?? run.progress()
    } finally {
      late.abort()
    }
  }

  async #settle(tenant: string | undefined): Promise<LedgerReport> {
    const settled = []
    for (const verifier of this.#verifiers) {
      settled.push({ verifier, undecided: await verifier.settle() })
    }
    const { bus, topics } = this.#options
    // Not before: its tenant may have been met only now.
    const builder = new ReportBuilder(this.#tenants, tenant)
    for (const one of settled) await builder.add(one, bus, topics.spans)
    return builder.build(false)
  }

  #progress(): Progress {
    let done = 0
    let of = 0
    for (const { progress } of this.#verifiers) {
      done += progress.done
      of += progress.of
    }
    return { done, of }
  }

  async #run(): Promise<void> {
    const { everyMs, clock, log } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await this.#exclusive(() => this.#advance())
      } catch (error) {
        if (signal.aborted) return
        log.error('query.verify_failed', error)
        if (!isRetryable(error)) await clock.sleep(retryAfterMs, signal)
      }
      await clock.sleep(everyMs, signal)
    }
  }

  async #advance(): Promise<void> {
    const { clock, metrics } = this.#options
    let spans = 0
    for (const verifier of this.#verifiers) {
      if (this.#stop.signal.aborted) return
      await verifier.advance()
      spans += await verifier.imbalance(clock.nowMs() - settledAfterMs)
    }
    metrics.ledgerImbalance.set(spans)
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

/** What is younger is not looked at: most of it is about to be decided. */
const settledAfterMs = 600_000

/** How long a full report is given to whoever asks again. */
const fullKeptMs = 5000

const retryAfterMs = 60_000

/** Characters of a partition's decisions that wait for the next look; with more it is at once. */
const waitingCharsMax = 256 * 1024
