import type { Bus, NewRecord } from '@winnow/bus'
import { isRetryable, type Log, type Metrics, type StageClock } from '@winnow/runtime'
import { ControlReader } from './control-reader.ts'
import type { Policy } from './policy-file.ts'
import { PolicyLog, type PolicyState } from './policy-log.ts'
import { type PolicyEntry, policyEntryRecord, policyTextRecord } from './policy-record.ts'
import { type CompiledPolicy, compilePolicy } from './rules.ts'

/** The policies that decide from one position of `control` on. Replaced whole, never changed. */
export interface PoliciesInForce {
  readonly live: CompiledPolicy
  readonly shadow: CompiledPolicy | undefined
  /** Offset in `control` of what puts the live one in force. */
  readonly at: number
}

export interface PolicyFollowerOptions {
  readonly bus: Bus
  /** Full name of the `control` topic. */
  readonly control: string
  readonly clock: StageClock
  readonly log: Log
  readonly metrics: Metrics
  /** Longest wait of one look at `control`. */
  readonly waitMs: number
  readonly retryAfterMs: number
  /** What this process is configured with: a seed, see {@link PolicySource}. */
  readonly policy: Policy
  readonly shadow: Policy | null
}

/**
 * Follows the policies of `control`. What a process is configured with is said there once, unless
 * somebody has applied one through the API; then all use what `control` says. A record that cannot be
 * used leaves the last good policy in force.
 */
export class PolicyFollower {
  readonly #options: PolicyFollowerOptions
  readonly #policies = new PolicyLog()
  readonly #reader: ControlReader
  /** Configured and not yet said on `control`, or found to be in force already. */
  #seed: Policy | undefined
  #shadowSeed: Policy | null | undefined
  #current: PoliciesInForce | undefined
  #broken: string | undefined
  #saying: Promise<void> | undefined

  constructor(options: PolicyFollowerOptions) {
    this.#options = options
    this.#seed = options.policy
    this.#shadowSeed = options.shadow
    this.#reader = new ControlReader(options.bus, options.control, records => {
      if (this.#policies.apply(records)) this.#resolve()
    })
  }

  /** As far as `control` was read; undefined before {@link caughtUp} has resolved once. */
  get current(): PoliciesInForce | undefined {
    return this.#current
  }

  /** Why the newest policy is not the one in force. */
  get broken(): string | undefined {
    return this.#broken
  }

  /**
   * What is in force at the end of `control` as it is now, so that nobody who claims after another
   * goes back behind its policy. Rejects with what may pass.
   */
  async caughtUp(): Promise<PoliciesInForce> {
    await this.#reader.readToEnd()
    if (this.#hasSeeds) {
      this.#saying ??= this.#saySeeds().finally(() => {
        this.#saying = undefined
      })
      await this.#saying
    }
    if (this.#current === undefined) throw new TypeError('a seed was said and is not in force')
    return this.#current
  }

  /** The configured policies are others now. They have effect unless one from the API is in force. */
  reseed(seeds: { readonly policy?: Policy; readonly shadow?: Policy | null }): void {
    this.#seed = seeds.policy ?? this.#seed
    if (seeds.shadow !== undefined) this.#shadowSeed = seeds.shadow
  }

  /** Until `isOver`. Rejects with what will not pass. */
  async follow(isOver: () => boolean): Promise<void> {
    const { clock, log, waitMs, retryAfterMs } = this.#options
    while (!isOver()) {
      try {
        if (this.#hasSeeds) await this.caughtUp()
        if (await this.#reader.read(waitMs)) this.#policies.tidy()
      } catch (error) {
        if (!isRetryable(error)) throw error
        log.error('sampler.control_unavailable', error)
        await clock.sleep(retryAfterMs)
      }
    }
  }

  get #hasSeeds(): boolean {
    return this.#seed !== undefined || this.#shadowSeed !== undefined
  }

  /**
   * A refused append may have landed: what is in force is looked at again before it is repeated. What was
   * configured anew meanwhile has not been said.
   */
  async #saySeeds(): Promise<void> {
    const { bus, control } = this.#options
    const [seed, shadow] = [this.#seed, this.#shadowSeed]
    const records = this.#seedRecords()
    if (records.length > 0) {
      await bus.append(control, 0, records)
      await this.#reader.readToEnd()
    }
    if (this.#seed === seed) this.#seed = undefined
    if (this.#shadowSeed === shadow) this.#shadowSeed = undefined
  }

  #seedRecords(): NewRecord[] {
    const { inForce, shadowEntry } = this.#policies.state
    const [seed, shadow] = [this.#seed, this.#shadowSeed]
    const records: NewRecord[] = []
    const say = (kind: PolicyEntry['kind'], policy: Policy | null): void => {
      if (policy !== null && !this.#policies.hasText(policy.version)) {
        records.push(policyTextRecord(policy, this.#policies.text(policy.version)?.text))
      }
      const atMs = this.#options.clock.nowMs()
      const version = policy?.version ?? null
      const said = { kind, version, source: 'file', atMs } as const
      records.push(policyEntryRecord({ ...said, n: this.#policies.nextNumber(said) }))
    }
    if (seed !== undefined && seed.version !== inForce?.version) {
      if (inForce?.source === 'api') this.#sayIgnored('policy', seed.version, inForce.version)
      else say('policy-in-force', seed)
    }
    if (shadow === undefined) return records
    const before = shadowEntry?.version ?? null
    if ((shadow?.version ?? null) === before) return records
    if (shadowEntry?.source === 'api') {
      this.#sayIgnored('policyShadow', shadow?.version ?? 'none', before ?? 'none')
    } else say('policy-shadow', shadow)
    return records
  }

  #sayIgnored(key: string, configured: string, inForce: string): void {
    this.#options.log.warn('sampler.policy_file_ignored', {
      key,
      configured,
      inForce,
      remedy:
        'it was applied by `winnow policy apply`; `winnow policy release` lets the files speak',
    })
  }

  #resolve(): void {
    const { log, metrics } = this.#options
    const state = this.#policies.state
    if (state.broken !== undefined && state.broken !== this.#broken) {
      metrics.policiesRefused.inc()
      log.error('sampler.policy_refused', state.broken, {
        inForce: state.inForce?.version ?? 'none',
      })
    }
    this.#broken = state.broken
    if (state.inForce === undefined || !this.#isOther(state)) return
    const { inForce, shadow } = state
    const before = this.#current
    this.#current = {
      live: this.#compiled(inForce.policy, before?.live),
      shadow: shadow && this.#compiled(shadow.policy, before?.shadow),
      at: inForce.offset,
    }
    log.info('sampler.policy', {
      version: inForce.version,
      shadow: shadow?.version ?? 'none',
      source: inForce.source,
      offset: inForce.offset,
    })
    metrics.policyInForce.reset()
    metrics.policyInForce.set({ version: inForce.version, role: 'live' }, 1)
    if (shadow !== undefined)
      metrics.policyInForce.set({ version: shadow.version, role: 'shadow' }, 1)
  }

  /** The same rules said again change nothing. */
  #isOther({ inForce, shadow }: PolicyState): boolean {
    const now = this.#current
    return (
      now === undefined ||
      now.live.policy.version !== inForce?.version ||
      now.shadow?.policy.version !== shadow?.version
    )
  }

  #compiled(policy: Policy, before: CompiledPolicy | undefined): CompiledPolicy {
    if (before?.policy.version === policy.version) return before
    const { metrics, log } = this.#options
    return compilePolicy(policy, (rule, error) => {
      metrics.ruleErrors.inc({ rule })
      log.error('sampler.rule_threw', error, { rule })
    })
  }
}
