import type { Log, Metrics } from '@winnow/runtime'
import type { CeilingSpec } from './ceiling-spec.ts'
import { RuleCeiling } from './rule-ceiling.ts'

/** What a ceiling leaves a match, and which ceiling it was. */
export interface CeilingPart {
  readonly probability: number
  readonly ceiling: number
  readonly per: 'minute' | 'hour'
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

/** Tenants that have figures of their own for a rule; those beyond them share one. */
const tenantsMax = 1_000
/** From this part of a ceiling on it is said that it is near. */
export const nearShare = 0.8

/** What a rule keeps of a tenant, in each partition that is held here. */
interface OfRule {
  readonly labels: Labels
  readonly parts: Map<number, RuleCeiling>
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
  #partitions = 1

  constructor(log: Log, metrics: Metrics) {
    this.#log = log
    this.#metrics = metrics
  }

  /** How many partitions there are in all. */
  share(partitions: number): void {
    this.#partitions = partitions
  }

  release(partition: number): void {
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
    const of = this.#of(tenant, rule, per, partition)
    return { probability: asked * of.share(kind, ceiling / this.#partitions, nowMs), ceiling, per }
  }

  /** Counts a match that {@link part} was asked for, once it is decided. */
  note(match: CeilingMatch, per: CeilingPart['per'], nowMs: number): void {
    const { tenant, rule, kind, asked, isKept, partition } = match
    this.#of(tenant, rule, per, partition).note(kind, asked, isKept, nowMs)
  }

  /** A match that was not kept because of the ceiling. */
  thinned(tenant: string, rule: string): void {
    this.#metrics.ceilingThinned.inc(this.#labels(tenant, rule))
  }

  /** Says how near each ceiling is. Called now and then; `nowMs` is the partition's log time. */
  say(partition: number, nowMs: number): void {
    for (const [key, { labels, parts }] of this.#rules) {
      if (parts.get(partition)?.demand(nowMs) === 0) parts.delete(partition)
      if (parts.size === 0) {
        this.#rules.delete(key)
        this.#metrics.ceilingUse.remove(labels)
        continue
      }
      const of = [...parts.values()]
      const limit = of.reduce((sum, one) => sum + one.limit, 0)
      const use = of.reduce((sum, one) => sum + one.demand(), 0) / limit
      this.#metrics.ceilingUse.set(labels, use)
      if (use >= nearShare) {
        const kind = use > 1 ? 'sampler.ceiling_reached' : 'sampler.ceiling_near'
        this.#log.warn(kind, { ...labels, use })
      }
    }
  }

  #of(tenant: string, rule: string, per: CeilingPart['per'], partition: number): RuleCeiling {
    const own = `${tenant}\0${rule}\0${per}`
    const isOver = !this.#rules.has(own) && this.#rules.size >= tenantsMax
    const key = isOver ? `\0${rule}\0${per}` : own
    let of = this.#rules.get(key)
    if (of === undefined) {
      of = { labels: this.#labels(isOver ? 'other' : tenant, rule), parts: new Map() }
      this.#rules.set(key, of)
    }
    let part = of.parts.get(partition)
    if (part === undefined) {
      part = new RuleCeiling(per === 'minute' ? 60_000 : 3_600_000)
      of.parts.set(partition, part)
    }
    return part
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
