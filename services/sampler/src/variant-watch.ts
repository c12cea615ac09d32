import type { Log, Metrics } from '@winnow/runtime'
import type { FleetSpend } from './fleet-spend.ts'
import type { VariantSpec } from './policy-file.ts'
import { VariantForecast } from './variant-forecast.ts'

/** What watching needs of the process. */
export interface WatchContext {
  readonly spends: FleetSpend
  readonly log: Log
  readonly metrics: Metrics
  /** Between two looks. */
  readonly everyMs: number
}

/** Looks at the registered variants now and then: says what they have used, will use, and when they end. */
export class VariantWatch {
  readonly forecast = new VariantForecast()
  readonly #context: WatchContext
  #nextAtMs = 0
  #hasSaid = false

  constructor(context: WatchContext) {
    this.#context = context
  }

  /** Figures of variants stand that may not be watched any more. */
  get hasSaid(): boolean {
    return this.#hasSaid
  }

  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextAtMs
  }

  /** `logTimeMs`: what a cap and a split are reckoned by. The wall clock paces, and ends what is over. */
  async look(variants: readonly VariantSpec[], logTimeMs: number, nowMs: number): Promise<void> {
    const { spends, log, metrics, everyMs } = this.#context
    this.#nextAtMs = nowMs + everyMs
    await spends.exchange()
    // A figure of a variant that has left the policy would stand for ever.
    metrics.variantCapUsed.reset()
    metrics.variantForecast.reset()
    metrics.variantShareMax.reset()
    this.#hasSaid = variants.length > 0
    for (const spec of variants) this.#say(spec, logTimeMs)
    for (const { experiment, variant, until } of await spends.recordEnds(variants, nowMs)) {
      log.info('sampler.variant_ended', { experiment, variant, until })
    }
  }

  #say(spec: VariantSpec, logTimeMs: number): void {
    const { spends, log, metrics } = this.#context
    const { experiment, variant, dailyCap, shareMax } = spec
    const labels = {
      experiment: metrics.capped('experiment', experiment),
      variant: metrics.capped('variant', variant),
    }
    const isOver = Date.parse(spec.until) <= logTimeMs
    metrics.variantCapUsed.set(labels, spends.used(experiment, variant, logTimeMs) / dailyCap)
    const forecast = this.forecast.of(spec, logTimeMs, spends.heldShare)
    if (forecast === undefined || isOver) return
    metrics.variantForecast.set(labels, forecast.share)
    if (shareMax === undefined) return
    metrics.variantShareMax.set(labels, shareMax)
    if (forecast.share <= shareMax) return
    const { share, split } = forecast
    log.warn('sampler.variant_share_high', { experiment, variant, share, split, shareMax })
  }
}
