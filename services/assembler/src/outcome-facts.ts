// Hot where spans state outcomes: one text an outcome, no object.
import {
  factTextBytesMax,
  factToken,
  noOutcomeMap,
  type OutcomeMap,
  type OutcomeRule,
  settled,
} from '@winnow/model'
import { type AttributeHits, valueType } from '@winnow/otlp'
import { AnnotationFacts } from './annotation-facts.ts'
import { evaluationEvent, factRole } from './fact-interest.ts'
import { FactList } from './fact-list.ts'
import { countOf, entriesOf, numberOf } from './fact-numbers.ts'
import { cutAt, isText } from './fact-text.ts'
import { knownTexts } from './known-texts.ts'

/** Labels that say "failed" (design, section 7). Here they only decide what a full list keeps. */
const failureLabels = ['"fail"', '"failed"', '"incorrect"', '"policy_incorrect"']

/**
 * The outcomes that the spans of one slice state, as JSON in tokens. What matters in a full list is what
 * looks failed.
 */
export class OutcomeFacts {
  readonly list = new FactList()
  /** Values that were no number where one was wanted. */
  ignored = 0
  /** The outcomes of the span being read; NaN, '' and -1: not stated. */
  #score = Number.NaN
  #label = ''
  #passed = -1
  #isJudged = false
  #extracted = Number.NaN
  #supported = Number.NaN
  #unsupported = Number.NaN
  /** The evaluation event being read; 0: none. */
  #event = 0
  #eventName = ''
  #eventScore = Number.NaN
  #eventLabel = ''
  readonly #annotations = new AnnotationFacts()
  readonly #map: OutcomeMap

  constructor(map: OutcomeMap = noOutcomeMap) {
    this.#map = map
  }

  clear(): void {
    this.list.clear()
    this.ignored = 0
  }

  /** Takes one hit of a span or of its events. `spanId` is the span's id, see `spanIdToken`. */
  take(source: Buffer, hits: AttributeHits, hit: number, role: number, spanId: string): void {
    switch (role) {
      case factRole.judgeScore:
        this.#isJudged = true
        this.#score = this.#number(numberOf(source, hits, hit))
        break
      case factRole.judgeLabel:
        this.#isJudged = true
        this.#label = labelOf(source, hits, hit)
        break
      case factRole.judgePassed:
        if (hits.type[hit] !== valueType.bool) break
        this.#isJudged = true
        this.#passed = hits.number[hit] as number
        break
      case factRole.claimsExtracted:
        this.#extracted = this.#number(countOf(source, hits, hit))
        break
      case factRole.claimsSupported:
        this.#supported = this.#number(countOf(source, hits, hit))
        break
      case factRole.claimsUnsupported:
        this.#unsupported = this.#number(entriesOf(source, hits, hit))
        break
      case factRole.csat:
        this.#addScore('"csat"', spanId, this.#number(numberOf(source, hits, hit)))
        break
      case factRole.outcome:
        if (hits.type[hit] === valueType.bool) this.#addFlag(source, hits, hit, spanId)
        break
      case factRole.annotation:
        if (this.#annotations.take(source, hits, hit)) this.ignored++
        break
      case factRole.mapped:
        this.#addMapped(source, hits, hit, spanId)
        break
      default:
        this.#takeEvaluation(source, hits, hit, role, spanId)
    }
  }

  /** Ends a span of which something was taken. */
  endSpan(spanId: string): void {
    this.#endEvaluation(spanId)
    if (this.#annotations.all.size > 0) this.#endAnnotations(spanId)
    if (this.#isJudged) {
      const failed = this.#passed === 0 || this.#score < 0.5 || failureLabels.includes(this.#label)
      this.#add(
        head('"judge"', spanId) +
          scoreMember(this.#score) +
          labelMember(this.#label) +
          (this.#passed < 0 ? '' : `${factToken.passed}${this.#passed === 1}`),
        failed,
      )
    }
    const { extracted, supported, unsupported } = this.#claims()
    if (extracted + supported + unsupported !== '') {
      const isMissing = this.#unsupported > 0 || this.#supported < this.#extracted
      this.#add(head('"citation"', spanId) + extracted + supported + unsupported, isMissing)
    }
    this.#score = Number.NaN
    this.#label = ''
    this.#passed = -1
    this.#isJudged = false
    this.#extracted = Number.NaN
    this.#supported = Number.NaN
    this.#unsupported = Number.NaN
  }

  #claims() {
    return {
      extracted: numberMember(factToken.extracted, this.#extracted),
      supported: numberMember(factToken.supported, this.#supported),
      unsupported: numberMember(factToken.unsupported, this.#unsupported),
    }
  }

  #addFlag(source: Buffer, hits: AttributeHits, hit: number, spanId: string): void {
    const start = hits.keyStart[hit] as number
    const end = cutAt(source, start, hits.keyEnd[hit] as number)
    const passed = hits.number[hit] === 1
    this.#add(
      `${head(knownTexts.jsonText(source, start, end), spanId)}${factToken.passed}${passed}`,
      !passed,
    )
  }

  #addScore(name: string, spanId: string, score: number): void {
    if (!Number.isNaN(score)) this.#add(head(name, spanId) + scoreMember(score), score <= 2)
  }

  /** Hits of one event follow one another; its name stands at each of them. */
  #takeEvaluation(
    source: Buffer,
    hits: AttributeHits,
    hit: number,
    role: number,
    spanId: string,
  ): void {
    const nameStart = hits.eventNameStart[hit] as number
    if (!isText(source, nameStart, hits.eventNameEnd[hit] as number, evaluationEvent)) return
    const event = hits.event[hit] as number
    if (event !== this.#event) this.#endEvaluation(spanId)
    this.#event = event
    if (role === factRole.evaluationName) this.#eventName = textOf(source, hits, hit)
    else if (role === factRole.evaluationLabel) this.#eventLabel = labelOf(source, hits, hit)
    else this.#eventScore = this.#number(numberOf(source, hits, hit))
  }

  #endEvaluation(spanId: string): void {
    if (this.#event !== 0) {
      this.#addEvaluated(this.#eventName, this.#eventScore, this.#eventLabel, spanId)
    }
    this.#event = 0
    this.#eventName = ''
    this.#eventScore = Number.NaN
    this.#eventLabel = ''
  }

  #endAnnotations(spanId: string): void {
    for (const { name, score, label } of this.#annotations.all.values()) {
      this.#addEvaluated(name, score, label, spanId)
    }
    if (this.#annotations.isTruncated) this.list.isTruncated = true
    this.#annotations.clear()
  }

  /** An evaluation without a name is none: the conventions require it, and no rule could ask for it. */
  #addEvaluated(name: string, score: number, label: string, spanId: string): void {
    if (name === '') return
    const rule = this.#ruleOf(name)
    if (rule !== undefined) {
      this.#addAs(rule, spanId, score, label, -1)
      return
    }
    const called = ownName(name)
    const failed = failureLabels.includes(label) || score <= (called === '"csat"' ? 2 : 0.5)
    const text = head(called, spanId) + scoreMember(score) + labelMember(label)
    // Some say the same in both words of OpenInference.
    if (!this.list.has(`${text}}`)) this.#add(text, failed)
  }

  #ruleOf(name: string): OutcomeRule | undefined {
    return this.#map === noOutcomeMap ? undefined : this.#map.ofEvaluation(JSON.parse(name))
  }

  /** An attribute that the configuration calls an outcome: text that is a number is a score. */
  #addMapped(source: Buffer, hits: AttributeHits, hit: number, spanId: string): void {
    const key = source.toString('utf8', hits.keyStart[hit] as number, hits.keyEnd[hit] as number)
    const rule = this.#map.ofAttribute(key)
    if (rule === undefined) return
    const isFlag = hits.type[hit] === valueType.bool
    const score = isFlag ? Number.NaN : numberOf(source, hits, hit)
    const label = Number.isNaN(score) ? labelOf(source, hits, hit) : ''
    if (!isFlag && Number.isNaN(score) && label === '') this.ignored++
    else this.#addAs(rule, spanId, score, label, isFlag ? (hits.number[hit] as number) : -1)
  }

  /** `passed`: 1, 0, or -1 where it was not stated. */
  #addAs(rule: OutcomeRule, spanId: string, score: number, label: string, passed: number): void {
    const stated = passed < 0 ? undefined : passed === 1
    const verdict = settled(rule, {
      score: Number.isNaN(score) ? undefined : score,
      label: label === '' ? undefined : (JSON.parse(label) as string),
      passed: stated,
    })
    const said = verdict ?? stated
    this.#add(
      head(ownName(JSON.stringify(rule.to)), spanId) +
        scoreMember(score) +
        labelMember(label) +
        (said === undefined ? '' : factToken.passed + said) +
        (verdict === undefined ? '' : ',"settled":true'),
      said === false || (verdict === undefined && score <= 2),
    )
  }

  #number(value: number): number {
    if (Number.isNaN(value)) this.ignored++
    return value
  }

  /** `text` lacks its closing brace. */
  #add(text: string, looksFailed: boolean): void {
    if (this.list.hasRoom(looksFailed)) this.list.add(`${text}}`, looksFailed)
  }
}

function head(name: string, spanId: string): string {
  return factToken.openName + name + factToken.spanId + spanId
}

function labelMember(label: string): string {
  return label === '' ? '' : factToken.label + label
}

function scoreMember(score: number): string {
  return numberMember(factToken.score, score)
}

function numberMember(token: string, value: number): string {
  return Number.isNaN(value) ? '' : token + value
}

/** As JSON; longer than a fact's text it is content, and left out. */
function labelOf(source: Buffer, hits: AttributeHits, hit: number): string {
  const start = hits.start[hit] as number
  const end = hits.end[hit] as number
  if (hits.type[hit] !== valueType.string || start === end) return ''
  return end - start > factTextBytesMax ? '' : knownTexts.jsonText(source, start, end)
}

/** As JSON, cut where it is longer than a fact's text. */
function textOf(source: Buffer, hits: AttributeHits, hit: number): string {
  const start = hits.start[hit] as number
  const end = hits.end[hit] as number
  if (hits.type[hit] !== valueType.string || start === end) return ''
  return knownTexts.jsonText(source, start, cutAt(source, start, end))
}

/** The three outcomes with rules of their own keep their names; any other goes below `outcome.`. */
function ownName(name: string): string {
  return ownRule.includes(name) ? name : `"outcome.${name.slice(1)}`
}

const ownRule = ['"judge"', '"citation"', '"csat"']
