import { factTextBytesMax } from '@winnow/model'
import { type AttributeHits, valueType } from '@winnow/otlp'
import { numberOf } from './fact-numbers.ts'
import { knownTexts } from './known-texts.ts'

/** One result that a span carries about itself or its trace. Texts are JSON; '' and NaN: not stated. */
export interface Annotation {
  name: string
  score: number
  label: string
}

/** Most results of one span that are looked at. */
export const annotationsMax = 64

/**
 * The OpenInference annotations and evaluations of one span: `annotations.0.annotation.name` and the
 * like, gathered by what stands before their last member. Members come in any order. Few spans carry any.
 */
export class AnnotationFacts {
  /** By the key without its last member. */
  readonly all = new Map<string, Annotation>()
  /** There were more than {@link annotationsMax}. */
  isTruncated = false

  /** True where a score was no number. */
  take(source: Buffer, hits: AttributeHits, hit: number): boolean {
    const key = source.toString('latin1', hits.keyStart[hit] as number, hits.keyEnd[hit] as number)
    const [, of = '', member] = memberKey.exec(key) ?? []
    if (member === undefined) return false
    const annotation = this.#of(of)
    if (annotation === undefined) return false
    if (member === 'score') {
      annotation.score = numberOf(source, hits, hit)
      return Number.isNaN(annotation.score)
    }
    const start = hits.start[hit] as number
    const end = hits.end[hit] as number
    const isShort = hits.type[hit] === valueType.string && start < end
    // A longer one is content, and no name that a rule could ask for.
    if (isShort && end - start <= factTextBytesMax) {
      annotation[member as 'name' | 'label'] = knownTexts.jsonText(source, start, end)
    }
    return false
  }

  clear(): void {
    this.all.clear()
    this.isTruncated = false
  }

  #of(key: string): Annotation | undefined {
    const known = this.all.get(key)
    if (known !== undefined) return known
    if (this.all.size === annotationsMax) {
      this.isTruncated = true
      return undefined
    }
    const annotation = { name: '', score: Number.NaN, label: '' }
    this.all.set(key, annotation)
    return annotation
  }
}

/** Explanations and metadata are content. */
const memberKey =
  /^((?:trace\.)?(?:annotations\.\d{1,9}\.annotation|evaluations\.\d{1,9}\.evaluation))\.(name|score|label)$/
