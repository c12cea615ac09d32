import type { DecisionHead } from '@winnow/model'
import { dayOf, endOf, hourOf } from '@winnow/storage'

/**
 * What is left of a kept trace's spans. `full`: all of it, text included · `structured`: all but text ·
 * `hashed`: structural keys clear, of every other string a keyed hash · `none`: nothing.
 */
export type ContentLevel = 'full' | 'structured' | 'hashed' | 'none'

/** What of a trace can be missing: its text, its strings but those under structural keys, whole spans. */
export type MissingContent = 'text' | 'strings' | 'spans'

export interface Content {
  readonly level: ContentLevel
  /** Since when there is no more than that; null where it is full, or nobody can say. RFC 3339 UTC. */
  readonly since: string | null
  /** Until when there is that much, at the least; null where nothing is left. */
  readonly until: string | null
  readonly missing: readonly MissingContent[]
  /** The key of its hashes has been destroyed: they can be compared with nothing that was hashed since. */
  readonly unlinkable?: true
  /** Id of the hold that has it, where no tier has as much. */
  readonly hold?: string
}

const ranks: Readonly<Record<ContentLevel, number>> = { none: 0, hashed: 1, structured: 2, full: 3 }

/** A greater one is more. */
export function rankOf(level: ContentLevel): number {
  return ranks[level]
}

/** How long which tier holds what, in milliseconds from the end of the UTC hour or day. */
export interface ContentLives {
  readonly textMs: number
  readonly tracesMs: number
  readonly warmMs: number
  readonly coldMs: number
}

/** Where a trace's spans were found, and how much of them. */
export interface FoundContent {
  readonly tier: 'hot' | 'warm' | 'cold'
  /** Of every span. */
  readonly hasText: boolean
  readonly spans: number
  /** UTC date of the oldest of the segments it came from. */
  readonly date?: string
  /** Of cold: the key of its hashes has been destroyed. */
  readonly unlinkable?: boolean
}

/** Of what was found, by what it holds. Pure. */
export function contentOf(
  decision: DecisionHead,
  found: FoundContent,
  nowMs: number,
  lives: ContentLives,
): Content {
  const ends = endsOf(decision, lives, found.date)
  const isShort = found.spans < decision.spanCount
  const missing = (...kinds: MissingContent[]): MissingContent[] =>
    isShort ? [...kinds, 'spans'] : kinds
  if (found.hasText) {
    return { level: 'full', since: null, until: iso(ends.textLeastMs), missing: missing() }
  }
  if (found.tier === 'cold') {
    const since = passed(ends.structuredMs, nowMs)
    const level = 'hashed'
    const until = iso(ends.hashedMs)
    const lost = found.unlinkable === true && { unlinkable: true as const }
    return { level, since, until, missing: missing('text', 'strings'), ...lost }
  }
  const since = passed(ends.textMs, nowMs) ?? passed(ends.textLeastMs, nowMs)
  return { level: 'structured', since, until: iso(ends.structuredMs), missing: missing('text') }
}

/**
 * Of a decision alone, by its age: what every store may still hold, at the least. Undefined: it has no
 * spans to be held, or was dropped. Pure.
 */
export function contentByAge(
  decision: DecisionHead,
  nowMs: number,
  lives: ContentLives,
): Content | undefined {
  if (!isHeld(decision)) return undefined
  const { spanCount: spans } = decision
  const { textLeastMs, structuredMs, hashedMs } = endsOf(decision, lives)
  if (nowMs < Math.max(structuredMs, textLeastMs)) {
    const hasText = nowMs < textLeastMs
    return contentOf(decision, { tier: 'hot', hasText, spans }, nowMs, lives)
  }
  if (nowMs < hashedMs) {
    return contentOf(decision, { tier: 'cold', hasText: false, spans }, nowMs, lives)
  }
  const since = iso(hashedMs)
  return { level: 'none', since, until: null, missing: ['text', 'strings', 'spans'] }
}

/** Whether age alone does not say if the text is there: it was written later than its last span came. */
export function mayHaveText(decision: DecisionHead, nowMs: number, lives: ContentLives): boolean {
  const { textLeastMs } = endsOf(decision, lives)
  const textMostMs = endOf(hourOf(decision.decidedAtMs)) + lives.textMs
  return isHeld(decision) && textLeastMs <= nowMs && nowMs < textMostMs
}

/** Kept, and not for nothing: its spans had come, and were on the bus when it was decided. */
export function isHeld({ verdict, sliceCount, gone }: DecisionHead): boolean {
  return verdict === 'keep' && sliceCount > 0 && gone !== true
}

/**
 * When which level ends. A kept span's text counts from the decision that had it written. That is the one
 * that gave the keep its weight, and none before the last span came.
 */
function endsOf(decision: DecisionHead, lives: ContentLives, date?: string) {
  const { decidedAtMs, seriesAtMs, firstSpanAtMs, lastSpanAtMs, revision } = decision
  const writtenAtMs = decision.weighedAtMs ?? decidedAtMs
  // Bytes that were older than a text's life as they were read have none in any store.
  const isFresh = decidedAtMs - (firstSpanAtMs ?? decidedAtMs) < lives.textMs
  const leastMs = revision === 1 && isFresh ? decidedAtMs : (lastSpanAtMs ?? decidedAtMs)
  // A segment is named by its first record, which may be of the day before.
  const dayEndMs =
    date === undefined ? dayOf(decidedAtMs).startMs : endOf(dayOf(Date.parse(`${date}T00:00:00Z`)))
  return {
    textMs: endOf(hourOf(writtenAtMs)) + lives.textMs,
    textLeastMs: endOf(hourOf(leastMs)) + lives.textMs,
    structuredMs: Math.max(endOf(dayOf(seriesAtMs)) + lives.tracesMs, dayEndMs + lives.warmMs),
    hashedMs: dayEndMs + lives.coldMs,
  }
}

function passed(atMs: number, nowMs: number): string | null {
  return atMs <= nowMs ? iso(atMs) : null
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
