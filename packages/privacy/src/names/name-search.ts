import { eachToken, unscanned } from '../detect/token-shape.ts'
import type { Circuit } from './circuit.ts'
import { mapTexts } from './json-texts.ts'
import type { NameDetector, UnscannedReason } from './name-detector.ts'
import { type NameSpan, type TokenOf, withNameTokens } from './name-spans.ts'
import type { Slots } from './slots.ts'

export interface NameLimits {
  /** For all texts of one request. */
  readonly waitMaxMs: number
  /** Bytes of texts, as JSON, and texts of one call of the detector; a longer text goes alone. */
  readonly batchBytesMax: number
  readonly batchTextsMax: number
  /** A longer text is not looked at. */
  readonly textBytesMax: number
  /** Different texts of one request; further ones are not looked at. */
  readonly textsMax: number
}

/** What searches share. */
export interface NameSearchContext {
  readonly detector: NameDetector
  readonly limits: NameLimits
  readonly tenant: string
  readonly language: string
  readonly circuit: Circuit
  readonly slots: Slots
  /** Texts that had no name in them. */
  readonly clean: { has(text: string): boolean; add(text: string): void }
  readonly nowMs: () => number
  readonly onFailed: (reason: UnscannedReason, detail: string) => void
}

type Verdict = readonly NameSpan[] | UnscannedReason | 'wanted'

interface Batch {
  readonly texts: string[]
  bytes: number
}

const none: readonly NameSpan[] = []

/**
 * The names of one request: every value is shown with `add`, `ask` resolves in `waitMaxMs` whatever happens, and then
 * `redacted` says of each value what may stay of it. A text that nobody looked at is `<unscanned>`.
 */
export class NameSearch {
  readonly #context: NameSearchContext
  readonly #tokenOf: TokenOf
  readonly #verdicts = new Map<string, Verdict>()
  readonly #onFound: (kind: string) => void
  /** Texts that became `<unscanned>`, by why. */
  readonly unscanned = new Map<UnscannedReason, number>()
  #isAny = false

  constructor(context: NameSearchContext, tokenOf: TokenOf, onFound: (kind: string) => void) {
    this.#context = context
    this.#tokenOf = tokenOf
    this.#onFound = onFound
  }

  /** Nothing was shown in which a name may be. */
  get isEmpty(): boolean {
    return !this.#isAny
  }

  add(value: string): void {
    mapTexts(value, this.#want, this.#leaveOut)
  }

  readonly #want = (text: string): undefined => {
    if (!mayHoldName(text) || this.#verdicts.has(text)) return
    const { limits, clean } = this.#context
    const hasRoom = this.#verdicts.size < limits.textsMax
    if (clean.has(text)) {
      // Others may have it forgotten until it is asked for again.
      if (hasRoom) this.#verdicts.set(text, none)
      return
    }
    this.#isAny = true
    if (!hasRoom) return
    const isTooLarge = Buffer.byteLength(text) > limits.textBytesMax
    this.#verdicts.set(text, isTooLarge ? 'too_large' : 'wanted')
  }

  /** Of a value with too many strings: nobody is asked about any of them. */
  readonly #leaveOut = (): undefined => {
    this.#isAny = true
  }

  async ask(): Promise<void> {
    const batches = this.#batches()
    if (batches.length === 0) return
    const { waitMaxMs } = this.#context.limits
    const ended = new AbortController()
    const timer = setTimeout(() => ended.abort(), waitMaxMs)
    try {
      await Promise.all(batches.map(batch => this.#askOne(batch.texts, ended.signal)))
    } finally {
      clearTimeout(timer)
    }
  }

  /** What may stay of a value that was shown; undefined: all of it. */
  redacted(value: string): string | undefined {
    return mapTexts(value, this.#redactedText, this.#leftOut)
  }

  readonly #redactedText = (text: string): string | undefined => {
    if (!mayHoldName(text)) return undefined
    const verdict = this.#verdicts.get(text)
    if (verdict === undefined && this.#context.clean.has(text)) return undefined
    if (typeof verdict === 'object') {
      const redacted = withNameTokens(text, verdict, this.#tokenOf, this.#onFound)
      return redacted === text ? undefined : redacted
    }
    return this.#unscanned(verdict === undefined || verdict === 'wanted' ? 'too_many' : verdict)
  }

  readonly #leftOut = (): string => this.#unscanned('too_large')

  #unscanned(reason: UnscannedReason): string {
    this.unscanned.set(reason, (this.unscanned.get(reason) ?? 0) + 1)
    return unscanned
  }

  #batches(): Batch[] {
    const { batchBytesMax, batchTextsMax } = this.#context.limits
    const batches: Batch[] = []
    let open: Batch | undefined
    for (const [text, verdict] of this.#verdicts) {
      if (verdict !== 'wanted') continue
      const bytes = Buffer.byteLength(JSON.stringify(text)) + 1
      const isFull =
        open === undefined ||
        open.texts.length >= batchTextsMax ||
        open.bytes + bytes > batchBytesMax
      if (isFull || open === undefined) {
        open = { texts: [], bytes: 0 }
        batches.push(open)
      }
      open.texts.push(text)
      open.bytes += bytes
    }
    return batches
  }

  async #askOne(texts: readonly string[], signal: AbortSignal): Promise<void> {
    const { circuit, slots, tenant } = this.#context
    // An open circuit is not waited for in a queue.
    if (!circuit.isWorthWaiting) return this.#settle(texts, 'down')
    const slot = await slots.take(tenant, signal)
    if (slot === 'full') return this.#settle(texts, 'too_many')
    if (slot === 'aborted') return this.#settle(texts, 'late')
    try {
      if (circuit.mayAsk()) await this.#found(texts, signal)
      else this.#settle(texts, 'down')
    } finally {
      slot()
    }
  }

  async #found(texts: readonly string[], signal: AbortSignal): Promise<void> {
    const { circuit, detector, language, limits, nowMs, onFailed } = this.#context
    const askedAtMs = nowMs()
    // A half of a pair that stands alone is no text to a reader of UTF-8; what stands for it is as long.
    const wellFormed = texts.map(text => text.toWellFormed())
    const answer = await detector.find({ texts: wellFormed, language, signal })
    if (answer.kind === 'failed') {
      // Whoever was asked too late has not shown that he is slow.
      const isFair = answer.reason !== 'late' || nowMs() - askedAtMs >= limits.waitMaxMs / 2
      if (isFair) circuit.failed()
      else circuit.unknown()
      onFailed(answer.reason, answer.detail)
      this.#settle(texts, answer.reason)
      return
    }
    if (answer.spans.includes(undefined)) {
      circuit.failed()
      onFailed('malformed', 'a place that is none in the text')
    } else circuit.succeeded()
    for (const [at, text] of texts.entries()) this.#note(text, answer.spans[at])
  }

  #note(text: string, spans: readonly NameSpan[] | undefined): void {
    if (spans?.length === 0) this.#context.clean.add(text)
    this.#verdicts.set(text, spans === undefined ? 'malformed' : spans.length === 0 ? none : spans)
  }

  #settle(texts: readonly string[], reason: UnscannedReason): void {
    for (const text of texts) this.#verdicts.set(text, reason)
  }
}

/** One word in small letters, as programs have them: `user`, `stop`, `tool_call`, `text/plain`. */
const vocabulary = /^[a-z0-9_.:/@+-]{0,64}$/
const letter = /\p{L}/u

/** Whether a text is worth a look: letters that are no token's, and more than a word of a program. */
export function mayHoldName(text: string): boolean {
  if (vocabulary.test(text) || !letter.test(text)) return false
  if (!text.includes('<')) return true
  let at = 0
  for (const { start, end } of eachToken(text)) {
    if (letter.test(text.slice(at, start))) return true
    at = end
  }
  return letter.test(text.slice(at))
}
