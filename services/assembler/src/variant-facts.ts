import { factTextBytesMax } from '@winnow/model'
import { type AttributeHits, attributeLevel, valueType } from '@winnow/otlp'
import { factRole } from './fact-interest.ts'
import { knownTexts } from './known-texts.ts'

/** Who says it. */
const byResource = 0
const bySpan = 1
const byFlag = 2

/**
 * Which experiment a slice ran in, and which variant: as the resource's attributes say, then a
 * span's; feature flags, of which a trace may ask many, only where both are silent. An
 * owner that names both goes before, since halves of different experiments are no pair.
 */
export class VariantFacts {
  /** JSON strings; '' where there is none. Valid after {@link finish}. */
  experiment = ''
  variant = ''
  /** The first of each, or the first pair, by who says it. */
  readonly #experiments = ['', '', '']
  readonly #variants = ['', '', '']
  readonly #isPair = [false, false, false]
  /** What the owner being read says. */
  readonly #owners = [-1, -1, -1]
  readonly #ownExperiments = ['', '', '']
  readonly #ownVariants = ['', '', '']

  /** Most slices name none. */
  #isTouched = false

  clear(): void {
    this.experiment = ''
    this.variant = ''
    if (!this.#isTouched) return
    this.#isTouched = false
    this.#experiments.fill('')
    this.#variants.fill('')
    this.#isPair.fill(false)
    this.#owners.fill(-1)
  }

  /** Takes one hit of a role that names an experiment or a variant. Text longer than a fact's is none. */
  take(source: Buffer, hits: AttributeHits, hit: number, role: number): void {
    const start = hits.start[hit] as number
    const end = hits.end[hit] as number
    if (hits.type[hit] !== valueType.string || start === end) return
    if (end - start > factTextBytesMax) return
    const isFlag = role === factRole.flagKey || role === factRole.flagVariant
    const isResource = hits.level[hit] === attributeLevel.resource
    const by = isFlag ? byFlag : isResource ? byResource : bySpan
    if (this.#isPair[by] === true) return
    this.#isTouched = true
    const owner = ownerOf(hits, hit)
    if (owner !== this.#owners[by]) {
      this.#owners[by] = owner
      this.#ownExperiments[by] = ''
      this.#ownVariants[by] = ''
    }
    const text = knownTexts.jsonText(source, start, end)
    if (role === factRole.experiment || role === factRole.flagKey) {
      this.#ownExperiments[by] ||= text
      this.#experiments[by] ||= text
    } else {
      this.#ownVariants[by] ||= text
      this.#variants[by] ||= text
    }
    if (this.#ownExperiments[by] === '' || this.#ownVariants[by] === '') return
    this.#experiments[by] = this.#ownExperiments[by] as string
    this.#variants[by] = this.#ownVariants[by] as string
    this.#isPair[by] = true
  }

  finish(): void {
    if (!this.#isTouched) return
    const [ofResource, ofSpan] = this.#experiments as [string, string]
    const [variantOfResource, variantOfSpan] = this.#variants as [string, string]
    if (this.#isPair[byResource] === true) this.#choose(byResource)
    else if (this.#isPair[bySpan] === true) this.#choose(bySpan)
    else {
      this.experiment = ofResource || ofSpan
      this.variant = variantOfResource || variantOfSpan
      if (this.experiment === '' && this.variant === '') this.#choose(byFlag)
    }
  }

  #choose(by: number): void {
    this.experiment = this.#experiments[by] as string
    this.variant = this.#variants[by] as string
  }
}

/** A number of its own for every resource, span and event: what can name a pair. */
function ownerOf(hits: AttributeHits, hit: number): number {
  const level = hits.level[hit] as number
  const event = hits.event[hit] as number
  return ((hits.owner[hit] as number) * 4 + level) * 2 ** 20 + event
}
