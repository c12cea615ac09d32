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
  /** Asked for by the rule itself. */
  readonly asked: number
  readonly isKept: boolean
}

/** Tenants that have figures of their own for a rule; those beyond them share one. */
const tenantsMax = 1_000
/** From this part of a ceiling on it is said that it is near. */
export const nearShare = 0.8

/**
 * How much of what rules match may be kept, by tenant and rule, for one process: a ceiling's part for the
 * partitions held here. Trace ids fall evenly on partitions, so that each has the same part of a
 * tenant's traffic, and samplers need not tell each other.
 */
export class Ceilings {
  readonly #log: Log
  readonly #metrics: Metrics
  readonly #rules = new Map<string, { readonly labels: Labels; readonly of: RuleCeiling }>()
  readonly #held = new Set<number>()
  #partitions = 1

  constructor(log: Log, metrics: Metrics) {
    this.#log = log
    this.#metrics = metrics
  }

  /** `partitions`: how many there are in all. */
  hold(partition: number, partitions: number): void {
    this.#held.add(partition)
    this.#partitions = partitions
  }

  release(partition: number): void {
    this.#held.delete(partition)
  }

  /** Undefined: no line of `specs` is about the tenant and rule. `asked`: the rule's own probability. */
  part(
    specs: readonly CeilingSpec[],
    { tenant, rule, kind, asked }: Omit<CeilingMatch, 'isKept'>,
    nowMs: number,
  ): CeilingPart | undefined {
    const spec = specOf(specs, tenant, rule)
    if (spec === undefined) return undefined
    const { ceiling, per } = figureOf(spec)
    const limit = (ceiling * this.#held.size) / this.#partitions
    const share = this.#ruleOf(tenant, rule, per).share(kind, limit, nowMs)
    return { probability: asked * share, ceiling, per }
  }

  /** Counts a match that {@link part} was asked for, once it is decided. */
  note(
    { tenant, rule, kind, asked, isKept }: CeilingMatch,
    per: CeilingPart['per'],
    nowMs: number,
  ): void {
    const of = this.#ruleOf(tenant, rule, per)
    of.note(kind, asked, isKept, nowMs)
  }

  /** A match that was not kept because of the ceiling. */
  thinned(tenant: string, rule: string): void {
    this.#metrics.ceilingThinned.inc(this.#labels(tenant, rule))
  }

  /** Says how near each ceiling is. Called now and then; `nowMs` is log time. */
  say(nowMs: number): void {
    for (const [key, { labels, of }] of this.#rules) {
      const use = of.use(nowMs)
      if (use === undefined) {
        this.#rules.delete(key)
        this.#metrics.ceilingUse.remove(labels)
        continue
      }
      this.#metrics.ceilingUse.set(labels, use)
      if (use >= nearShare) {
        const kind = use > 1 ? 'sampler.ceiling_reached' : 'sampler.ceiling_near'
        this.#log.warn(kind, { ...labels, use })
      }
    }
  }

  #ruleOf(tenant: string, rule: string, per: CeilingPart['per']): RuleCeiling {
    const own = `${tenant}\0${rule}\0${per}`
    const isOver = !this.#rules.has(own) && this.#rules.size >= tenantsMax
    const key = isOver ? `\0${rule}\0${per}` : own
    const known = this.#rules.get(key)
    if (known !== undefined) return known.of
    const of = new RuleCeiling(per === 'minute' ? 60_000 : 3_600_000)
    this.#rules.set(key, { labels: this.#labels(isOver ? 'other' : tenant, rule), of })
    return of
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
