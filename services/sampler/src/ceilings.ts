import type { Log, Metrics } from '@winnow/runtime'
import type { CeilingSpec } from './ceiling-spec.ts'
import { type CeilingPer, type CeilingSpend, ceilingWindowMs } from './ceiling-spend.ts'
import { RuleCeiling } from './rule-ceiling.ts'

/** What a ceiling leaves a match, and which ceiling it was. */
export interface CeilingPart {
  readonly probability: number
  readonly ceiling: number
  readonly per: CeilingPer
}

/** What was matched under a ceiling, as its decision says. */
export interface CeilingMatch {
  readonly tenant: string
  readonly rule: string
  readonly kind: string
  readonly partition: number
  /** Asked for by the rule itself. */
  readonly asked: number
  readonly isKept: boolean
}

/**
 * Tenants that have figures of their own for a rule. Those beyond them share one as large as a tenant's,
 * which begins its window anew where a partition moves.
 */
export const ceilingTenantsMax = 1_000
/** From this part of a ceiling on it is said that it is near. */
export const nearShare = 0.8
/** Below it what was said may be said again. */
const calmShare = 0.7

/** What a rule keeps of a tenant, in each partition that is held here. */
interface OfRule {
  readonly labels: Labels
  readonly parts: Map<number, RuleCeiling>
  /** 1: that it is near, 2: that it is reached; 0: nothing since it was well below. */
  warned: number
}

/**
 * How much of what rules match may be kept, by tenant and rule: a ceiling's part for each partition. Trace
 * ids fall evenly on partitions, so that each has the same part of a tenant's traffic: samplers need not
 * tell each other, and one whose partitions are unequally far behind is right by the log time of each.
 */
export class Ceilings {
  readonly #log: Log
  readonly #metrics: Metrics
  readonly #rules = new Map<string, OfRule>()
  /** By rule, how many tenants have figures of their own. */
  readonly #tenants = new Map<string, number>()
  /** What is on record of the partitions held here. */
  readonly #spends = new Map<number, CeilingSpend>()
  /** By partition, its log time when it was last looked at, and when by the wall clock it had come there. */
  readonly #moved = new Map<number, { readonly logTimeMs: number; readonly nowMs: number }>()
  #partitions = 1

  constructor(log: Log, metrics: Metrics) {
    this.#log = log
    this.#metrics = metrics
  }

  /** How many partitions there are in all. */
  share(partitions: number): void {
    this.#partitions = partitions
  }

  /** The partition is decided on here from now on; `spend` is the fold of what was before. */
  hold(partition: number, spend: CeilingSpend): void {
    this.release(partition)
    this.#spends.set(partition, spend)
  }

  release(partition: number): void {
    this.#spends.delete(partition)
    this.#moved.delete(partition)
    for (const { parts } of this.#rules.values()) parts.delete(partition)
  }

  /** Undefined: no line of `specs` is about the tenant and rule. `nowMs`: the partition's log time. */
  part(
    specs: readonly CeilingSpec[],
    { tenant, rule, kind, asked, partition }: Omit<CeilingMatch, 'isKept'>,
    nowMs: number,
  ): CeilingPart | undefined {
    const spec = specOf(specs, tenant, rule)
    if (spec === undefined) return undefined
    const { ceiling, per } = figureOf(spec)
    const of = this.#of(tenant, rule, per, partition, nowMs)
    return { probability: asked * of.share(kind, ceiling / this.#partitions, nowMs), ceiling, per }
  }

  /** Counts a match that {@link part} was asked for, once it is decided. */
  note(match: CeilingMatch, per: CeilingPer, nowMs: number): void {
    const { tenant, rule, kind, asked, isKept, partition } = match
    this.#of(tenant, rule, per, partition, nowMs).note(kind, asked, isKept, nowMs)
  }

  /** A match that was not kept because of the ceiling. */
  thinned(tenant: string, rule: string): void {
    this.#metrics.ceilingThinned.inc(this.#labels(tenant, rule))
  }

  /** Says how near each ceiling is. Called now and then, also where nothing comes: `nowMs` is the wall clock's. */
  say(partition: number, logTimeMs: number, nowMs: number): void {
    const atMs = this.#timeOf(partition, logTimeMs, nowMs)
    for (const [key, of] of this.#rules) {
      const { labels, parts } = of
      if (parts.get(partition)?.demand(atMs) === 0) parts.delete(partition)
      if (parts.size === 0) {
        this.#forget(key, of)
        this.#metrics.ceilingUse.remove(labels)
        continue
      }
      const all = [...parts.values()]
      const limit = all.reduce((sum, one) => sum + one.limit, 0)
      const use = all.reduce((sum, one) => sum + one.demand(), 0) / limit
      this.#metrics.ceilingUse.set(labels, use)
      this.#warn(of, use)
    }
  }

  /** Log time stands where nothing comes; a window ends all the same. */
  #timeOf(partition: number, logTimeMs: number, nowMs: number): number {
    const moved = this.#moved.get(partition)
    if (moved?.logTimeMs === logTimeMs) return logTimeMs + Math.max(0, nowMs - moved.nowMs)
    this.#moved.set(partition, { logTimeMs, nowMs })
    return logTimeMs
  }

  /** Once when it comes near and once when it is reached, until it has been well below. */
  #warn(of: OfRule, use: number): void {
    if (use < calmShare) of.warned = 0
    const level = use > 1 ? 2 : use >= nearShare ? 1 : 0
    if (level <= of.warned) return
    of.warned = level
    const kind = level === 2 ? 'sampler.ceiling_reached' : 'sampler.ceiling_near'
    this.#log.warn(kind, { ...of.labels, use })
  }

  #of(
    tenant: string,
    rule: string,
    per: CeilingPer,
    partition: number,
    nowMs: number,
  ): RuleCeiling {
    const own = `${tenant}\0${rule}\0${per}`
    const known = this.#rules.has(own)
    const isOver = !known && (this.#tenants.get(rule) ?? 0) >= ceilingTenantsMax
    const key = isOver ? `\0${rule}\0${per}` : own
    let of = this.#rules.get(key)
    if (of === undefined) {
      of = { labels: this.#labels(isOver ? 'other' : tenant, rule), parts: new Map(), warned: 0 }
      this.#rules.set(key, of)
      this.#tenants.set(rule, (this.#tenants.get(rule) ?? 0) + 1)
    }
    let part = of.parts.get(partition)
    if (part === undefined) {
      const spent = isOver ? undefined : this.#spends.get(partition)?.of(tenant, rule, per, nowMs)
      part = new RuleCeiling(ceilingWindowMs[per], spent)
      of.parts.set(partition, part)
    }
    return part
  }

  #forget(key: string, { labels: { rule } }: OfRule): void {
    this.#rules.delete(key)
    const left = (this.#tenants.get(rule) ?? 1) - 1
    if (left > 0) this.#tenants.set(rule, left)
    else this.#tenants.delete(rule)
  }

  #labels(tenant: string, rule: string): Labels {
    return { tenant: this.#metrics.capped('tenant', tenant), rule }
  }
}

interface Labels {
  readonly tenant: string
  readonly rule: string
}

/** The line of the tenant itself comes before one of all tenants. */
function specOf(
  specs: readonly CeilingSpec[],
  tenant: string,
  rule: string,
): CeilingSpec | undefined {
  let all: CeilingSpec | undefined
  for (let i = 0; i < specs.length; i++) {
    const spec = specs[i] as CeilingSpec
    if (spec.rule !== rule) continue
    if (spec.tenant === tenant) return spec
    if (spec.tenant === undefined) all = spec
  }
  return all
}

function figureOf({ perMinute, perHour }: CeilingSpec): Omit<CeilingPart, 'probability'> {
  return perMinute === undefined
    ? { ceiling: perHour ?? 0, per: 'hour' }
    : { ceiling: perMinute, per: 'minute' }
}
