import { type HealthPart, type Log, Lru } from '@winnow/runtime'
import type { Redactor } from '../redactor.ts'
import { redactorsMax } from '../redactors.ts'
import { Circuit, type CircuitLimits } from './circuit.ts'
import { CleanTexts } from './clean-texts.ts'
import type { NameDetector, UnscannedReason } from './name-detector.ts'
import { type NameLimits, NameSearch, type NameSearchContext } from './name-search.ts'
import { type SlotLimits, Slots } from './slots.ts'

/** Languages whose clean texts are remembered. */
const languagesMax = 64

export interface NamesOptions {
  readonly detector: NameDetector
  /** The language that a tenant's texts are in, as the detector calls it; undefined: no names are sought. */
  readonly languageOf: (tenant: string) => string | undefined
  readonly limits: NameLimits & CircuitLimits & SlotLimits
  /** Told of texts that became `<unscanned>`. */
  readonly onUnscanned: (tenant: string, reason: UnscannedReason, count: number) => void
  readonly nowMs: () => number
  readonly log?: Log
}

/** The search of one request, and the end of it. */
export interface TenantNames {
  /** Tokens are made by the redactor; `onFound` is told of each name. */
  begin(redactor: Redactor, onFound: (kind: string) => void): NameSearch
  /** Counts what of the search became `<unscanned>`. */
  end(search: NameSearch): void
}

/**
 * Names of people, which no pattern can tell: asked of a detector that runs elsewhere. It is waited for a limited time,
 * and what it did not look at is not handed on. A tenant whose texts make it fail shuts nobody else out.
 */
export class Names {
  readonly #options: NamesOptions
  readonly #slots: Slots
  readonly #held = new Lru<TenantNames>(redactorsMax)
  readonly #clean = new Lru<CleanTexts>(languagesMax)
  /** By tenant, of those whose texts were not looked at of late. */
  readonly #failing = new Map<string, Circuit>()
  #lastDetail = ''

  constructor(options: NamesOptions) {
    this.#options = options
    this.#slots = new Slots(options.limits)
  }

  /** Undefined: no names are sought in what this tenant sends. */
  of(tenant: string): TenantNames | undefined {
    const held = this.#held.get(tenant)
    if (held !== undefined) return held
    const language = this.#options.languageOf(tenant)
    if (language === undefined) return undefined
    const made = this.#make(tenant, language)
    this.#held.set(tenant, made, 1)
    return made
  }

  /** Ready in any case: what cannot be looked at is taken without its text. */
  health(): HealthPart {
    for (const [tenant, circuit] of this.#failing) {
      if (!circuit.isOpen) this.#failing.delete(tenant)
    }
    const count = this.#failing.size
    if (count === 0) return { ready: true }
    const whose = count === 1 ? 'a tenant' : `${count} tenants`
    const detail = `the detector of names fails (${this.#lastDetail}): texts of ${whose} become <unscanned>; see that what privacy.names.url names answers`
    return { ready: true, detail }
  }

  close(): void {
    this.#options.detector.close()
  }

  #make(tenant: string, language: string): TenantNames {
    const { detector, limits, nowMs, onUnscanned, log } = this.#options
    const circuit = new Circuit(limits, nowMs)
    const context: NameSearchContext = {
      detector,
      limits,
      tenant,
      language,
      circuit,
      slots: this.#slots,
      clean: this.#cleanOf(language),
      nowMs,
      onFailed: (reason, detail) => {
        this.#lastDetail = detail
        if (circuit.isOpen && this.#failing.size < redactorsMax) this.#failing.set(tenant, circuit)
        log?.warn('names.detector_failed', { tenant, reason, detail, isLeftAlone: circuit.isOpen })
      },
    }
    return {
      begin: (redactor, onFound) =>
        new NameSearch(context, (kind, thing) => redactor.token(kind, thing), onFound),
      end: search => {
        for (const [reason, count] of search.unscanned) onUnscanned(tenant, reason, count)
      },
    }
  }

  #cleanOf(language: string): CleanTexts {
    const known = this.#clean.get(language)
    if (known !== undefined) return known
    const made = new CleanTexts(this.#options.nowMs)
    this.#clean.set(language, made, 1)
    return made
  }
}
