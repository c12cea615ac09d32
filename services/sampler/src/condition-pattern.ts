import { factTextBytesMax } from '@winnow/model'

/** Characters of a pattern, and how often one thing of it may be counted to repeat. */
export const patternCharsMax = 256
export const patternRepeatsMax = 256

/**
 * Ways in which a pattern may be tried on one text. Senders choose the texts, and a pattern that tries
 * without bound would stop the decisions on everybody's traces: three open repeats from the start of a
 * text on, or two anywhere in it.
 */
export const patternTriesMax = factTextBytesMax ** 3

/** Why a pattern takes too long; undefined where it does not. It has been found to be an expression. */
export function slowPattern(text: string): string | undefined {
  if (text.length > patternCharsMax) {
    return `a pattern of ${text.length} characters, more than ${patternCharsMax}`
  }
  const reader = new PatternReader(text)
  const { tries, isAnchored } = reader.alternatives()
  if (reader.mistake !== undefined) return reader.mistake
  // Without ^ it is tried at every character.
  if (tries * (isAnchored ? 1 : factTextBytesMax) <= patternTriesMax) return undefined
  return 'a pattern with so many repeats and choices takes too long; begin it with ^, or make it several conditions'
}

interface Part {
  /** In how many ways it may be tried at one place. */
  readonly tries: number
  readonly isAnchored: boolean
  /** It holds a repeat or alternatives. */
  readonly isOpen: boolean
}

const single: Part = { tries: 1, isAnchored: false, isOpen: false }
const start: Part = { tries: 1, isAnchored: true, isOpen: false }

/** Counts tries; what it reads has already been found to be a regular expression. */
class PatternReader {
  mistake: string | undefined
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Up to the end, or the end of the group. */
  alternatives(): Part {
    let { tries, isAnchored, isOpen } = this.#sequence()
    while (this.#text[this.#at] === '|') {
      this.#at++
      const next = this.#sequence()
      tries += next.tries
      isAnchored &&= next.isAnchored
      isOpen = true
    }
    return { tries, isAnchored, isOpen }
  }

  #sequence(): Part {
    let tries = 1
    let isAnchored = false
    let isOpen = false
    for (let isFirst = true; this.#at < this.#text.length; isFirst = false) {
      const next = this.#text[this.#at]
      if (next === '|' || next === ')') break
      const part = this.#repeated(this.#one())
      tries *= part.tries
      isAnchored ||= isFirst && part.isAnchored
      isOpen ||= part.isOpen
    }
    return { tries, isAnchored, isOpen }
  }

  #one(): Part {
    const text = this.#text
    const char = text[this.#at++]
    if (char === '^') return start
    if (char === '[') {
      while (text[this.#at] !== ']') this.#at += text[this.#at] === '\\' ? 2 : 1
      this.#at++
    } else if (char === '\\') {
      // `\p{…}`, `\u{…}`, `\k<…>`: what is in them is no repeat.
      const named = /^(?:[pPu]\{[^}]*\}|k<[^>]*>|.)/su.exec(text.slice(this.#at))
      this.#at += named?.[0].length ?? 0
    } else if (char === '(') {
      const kind = /^\?(?:[:=!]|<[=!]|<[^>]*>|[a-z-]*:)/.exec(text.slice(this.#at))
      this.#at += kind?.[0].length ?? 0
      const group = this.alternatives()
      this.#at++
      // What looks around does not hold the place.
      return kind !== null && /[=!]$/.test(kind[0]) ? { ...group, isAnchored: false } : group
    }
    return single
  }

  #repeated(part: Part): Part {
    const repeat = /^(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/.exec(this.#text.slice(this.#at))
    if (repeat === null) return part
    this.#at += repeat[0].length
    const [, sign, low, comma, high] = repeat
    const from = sign === undefined ? Number(low) : sign === '+' ? 1 : 0
    const open = sign === undefined ? high === '' : sign !== '?'
    const to = comma === '' ? from : open ? Number.POSITIVE_INFINITY : Number(high || 1)
    if (from > patternRepeatsMax || (to !== Number.POSITIVE_INFINITY && to > patternRepeatsMax)) {
      this.mistake ??= `a repeat of more than ${patternRepeatsMax}; no text is so long`
    }
    if (part.isOpen && to > 1) {
      this.mistake ??=
        'a repeated group that repeats within or has a | takes time without bound; repeat one of the two, or write [ab] for (a|b)'
    }
    const most = Math.min(to, Math.max(from, factTextBytesMax)) - from + 1
    const choices = Math.min(most, factTextBytesMax)
    return {
      tries: part.tries + choices - 1,
      isAnchored: part.isAnchored && from > 0,
      isOpen: true,
    }
  }
}
