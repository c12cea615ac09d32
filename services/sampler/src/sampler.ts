import { randomUUID } from 'node:crypto'
import type { Bus, Membership } from '@winnow/bus'
import { fnv1a } from '@winnow/model'
import type { Component, Health, Log, Metrics, StageClock } from '@winnow/runtime'
import type { BlobStore } from '@winnow/storage'
import { Baselines } from './baselines.ts'
import { Ceilings } from './ceilings.ts'
import type { SamplerConfig } from './config.ts'
import { DecisionMetrics } from './decision-metrics.ts'
import { FleetSpend } from './fleet-spend.ts'
import { BaselinesFollower } from './follow-baselines.ts'
import { KeptStates } from './kept-states.ts'
import { PartitionLoop } from './partition-loop.ts'
import type { Policy } from './policy-file.ts'
import { PolicyFollower } from './policy-follower.ts'
import type { PartitionStatus, SamplerTopics, Shared } from './shared.ts'
import { StateSnapshots } from './state-snapshots.ts'
import { VariantWatch } from './variant-watch.ts'

export interface SamplerOptions {
  readonly bus: Bus
  /** Full names. All have the same number of partitions. */
  readonly topics: SamplerTopics
  /** The group that leases `evidence`; every sampler of a pipeline has the same. */
  readonly group: string
  /** What it is configured with: in force unless `control` says otherwise. */
  readonly policy: Policy
  /** The same for the policy in the shadow; absent: none. */
  readonly shadow?: Policy | undefined
  readonly clock: StageClock
  readonly log: Log
  readonly metrics: Metrics
  readonly health: Health
  readonly config: SamplerConfig
  /** Where snapshots of the index lie; without it a partition's decisions are folded from the first retained. */
  readonly blobs?: BlobStore
  /** Names this process in its claims, for people. */
  readonly by?: string
}

export interface Sampler extends Component {
  /** Rejects when the process has to end. */
  readonly failed: Promise<never>
  /** The next offset of `evidence` that is not decided on yet; undefined where the partition is not held here, or not yet. */
  position(partition: number): number | undefined
  /**
   * It is configured with another policy now, which goes to `control` and takes effect with the next
   * claims, of all samplers; unless one from the API is in force.
   */
  usePolicy(policy: Policy): void
  /** The same for the policy in the shadow; null: none. */
  useShadow(policy: Policy | null): void
}

/** Folds `evidence` into `decisions`. Started before whoever writes evidence, stopped after it. */
export function createSampler(options: SamplerOptions): Sampler {
  return new PipelineSampler(options)
}

class PipelineSampler implements Sampler {
  readonly failed: Promise<never>
  readonly #fail: (error: unknown) => void
  readonly #options: SamplerOptions
  readonly #statuses = new Map<number, PartitionStatus>()
  readonly #positions = new Map<number, number>()
  readonly #loops = new Set<Promise<void>>()
  readonly #shared: Shared
  readonly #background = new Set<Promise<void>>()
  #membership: Membership | undefined
  readonly #policies: PolicyFollower
  #isStopping = false
  /** A sampler that others have left without a partition is ready; one that never had one is not. */
  #hasHeld = false
  #followed: Promise<void> = Promise.resolve()

  constructor(options: SamplerOptions) {
    this.#options = options
    const failed = Promise.withResolvers<never>()
    this.failed = failed.promise
    this.failed.catch(() => {})
    this.#fail = failed.reject
    this.#policies = this.#follower()
    this.#shared = this.#share()
    options.health.register('sampler', () => this.#health())
    options.health.register('policy', () => {
      const { broken, current } = this.#policies
      if (broken === undefined) return { ready: true }
      const rest = `${current?.live.policy.version ?? 'none'} stays in force; apply a good one`
      return { ready: true, detail: `${broken}; ${rest}` }
    })
  }

  async start(): Promise<void> {
    const { bus, topics, group } = this.#options
    this.#isStopping = false
    this.#membership = bus.join(topics.evidence, group, async lease => {
      if (this.#isStopping) return
      const loop = new PartitionLoop(this.#shared, lease).run()
      this.#loops.add(loop)
      await loop.finally(() => this.#loops.delete(loop))
    })
    this.#membership.failed.catch(this.#fail)
    this.#followed = this.#policies.follow(() => this.#isStopping).catch(this.#fail)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    // Loops end by themselves, with their last commit, while the leases are still theirs.
    await Promise.allSettled(this.#loops)
    await this.#membership?.close()
    this.#membership = undefined
    await this.#followed
    await Promise.all(this.#background)
  }

  position(partition: number): number | undefined {
    return this.#positions.get(partition)
  }

  usePolicy(policy: Policy): void {
    this.#policies.reseed({ policy })
  }

  useShadow(shadow: Policy | null): void {
    this.#policies.reseed({ shadow })
  }

  #follower(): PolicyFollower {
    const { bus, topics, policy, shadow = null, clock, log, metrics, config } = this.#options
    return new PolicyFollower({
      bus,
      control: topics.control,
      clock,
      log,
      metrics,
      waitMs: config.idleWait,
      retryAfterMs: config.retryAfter,
      policy,
      shadow,
    })
  }

  #share(): Shared {
    const { bus, topics, config, clock, log, metrics, blobs } = this.#options
    const by = this.#options.by ?? `sampler-${randomUUID()}`
    const id = Buffer.from(by)
    const spends = new FleetSpend(bus, topics.control)
    const baselines = new Baselines({
      windowMs: config.slowWindow,
      countMin: config.slowCountMin,
      keysMax: config.slowKeysMax,
    })
    const sampler = this
    return {
      bus,
      topics,
      config,
      clock,
      log,
      metrics,
      by,
      figures: new DecisionMetrics(metrics, clock),
      baselines,
      follower: new BaselinesFollower({ bus, topic: topics.baselines, baselines, log }),
      policies: this.#policies,
      seed: fnv1a(id, 0, id.length),
      get isStopping() {
        return sampler.#isStopping
      },
      spends,
      ceilings: new Ceilings(log, metrics),
      watch: new VariantWatch({ spends, log, metrics, everyMs: config.spendEvery }),
      statuses: this.#statuses,
      positions: this.#positions,
      kept: new KeptStates(config.indexTracesMax),
      snapshots: blobs && new StateSnapshots(blobs, log),
      background: work => {
        const ended = work.catch(this.#fail).finally(() => this.#background.delete(ended))
        this.#background.add(ended)
      },
    }
  }

  #health(): { readonly ready: boolean; readonly detail?: string } {
    if (this.#membership === undefined) return { ready: false, detail: 'not started' }
    if (this.#statuses.size === 0 && !this.#hasHeld) {
      return { ready: false, detail: 'holds no partition yet; wait for the group' }
    }
    this.#hasHeld = true
    const waiting = [...this.#statuses].filter(([, status]) => status !== 'running')
    const [first] = waiting
    if (first === undefined) return { ready: true }
    const detail = `partition ${first[0]} is ${first[1]}; ${waiting.length} are not running`
    return { ready: false, detail }
  }
}
