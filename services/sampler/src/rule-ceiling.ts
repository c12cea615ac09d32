// Hot where a policy has ceilings: asked and told for every trace that a limited rule matches.
import type { WindowSpend } from './ceiling-spend.ts'

/** Kinds of failure told apart in a window; what comes after them is one kind. */
export const kindsMax = 200
/** What the window before weighs in a rate, as a part of a window. */
const beforeWeight = 0.05
/** A window younger than this part of it tells no rate of its own. */
const youngShare = 0.02
/** So much of a limit is kept without a level: a few matches tell no rate, and the rest makes up for it. */
const freeShare = 0.3
/** A smaller limit holds on average alone: what is left of it is no whole trace, and whoever waits for one gets it. */
const exactMin = 5
/** The level is taken anew after this part of the limit, and of the window. */
const refreshShare = 1 / 200
/** So many matches for each kind come before it: to sort them all for each match would cost more than that. */
const refreshKinds = 1 / 20
/** As if so much of a place were always left: a trace that comes later must have a chance, and a weight. */
const leftMin = 0.1

/**
 * Spends a limit of kept traces over a window of log time so that it lasts to the end of it, and evenly
 * over kinds: what all kinds are expected to bring in the rest of the window is cut at one level, so that
 * a rare kind is kept whole beside one that floods. Told what was kept, it corrects itself: what is left
 * of the limit is spread over what is left of the window, whatever was kept too much before, and by whom.
 */
export class RuleCeiling {
  readonly #windowMs: number
  /** Matches by kind in this window and in the one before, by what the rule itself would keep of them. */
  #arrived = new Map<string, number>()
  #before = new Map<string, number>()
  #window = -1
  /** What was there before it is no part of `#arrived`. */
  #sinceMs = Number.POSITIVE_INFINITY
  /** Traces kept in the window, and how many would be on average. */
  #kept = 0
  #expectedKept = 0
  limit = 0
  #nowMs = 0
  /** Expected of a kind in the rest of the window: what is above it is cut. */
  #level = Number.POSITIVE_INFINITY
  #sinceLevel = 0
  #levelAtMs = Number.NEGATIVE_INFINITY

  /** `spent`: what was kept in a window that somebody else has begun. */
  constructor(windowMs: number, spent?: WindowSpend) {
    this.#windowMs = windowMs
    if (spent === undefined) return
    this.#window = spent.window
    this.#kept = spent.kept
    this.#expectedKept = spent.expected
  }

  /** The share of a kind's matches that may be kept now. */
  share(kind: string, limit: number, nowMs: number): number {
    this.#roll(nowMs)
    const isStale =
      this.limit !== limit ||
      this.#sinceLevel >= Math.max(limit * refreshShare, this.#arrived.size * refreshKinds) ||
      this.#nowMs - this.#levelAtMs >= this.#windowMs * refreshShare
    this.limit = limit
    if (isStale) this.#takeLevel()
    return this.#shareOf(this.#kindOf(kind))
  }

  /** `asked`: the probability of the rule itself. */
  note(kind: string, asked: number, isKept: boolean, nowMs: number): void {
    this.#roll(nowMs)
    const name = this.#kindOf(kind)
    this.#expectedKept += asked * this.#shareOf(name)
    this.#arrived.set(name, (this.#arrived.get(name) ?? 0) + asked)
    this.#sinceLevel += asked
    if (isKept) this.#kept++
  }

  /** How many are told apart in this window. */
  get kinds(): number {
    return this.#arrived.size
  }

  /** What the rule would keep in this window without the limit; 0 once nothing came for two windows. */
  demand(nowMs = this.#nowMs): number {
    this.#roll(nowMs)
    let sum = 0
    for (const arrived of this.#arrived.values()) sum += arrived
    for (const kind of this.#kinds()) sum += this.#expected(kind)
    return sum
  }

  #roll(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs)
    if (nowMs < this.#sinceMs) this.#sinceMs = nowMs
    const window = Math.floor(this.#nowMs / this.#windowMs)
    if (window === this.#window) return
    this.#before = window === this.#window + 1 ? this.#arrived : new Map()
    this.#arrived = new Map()
    this.#window = window
    this.#kept = 0
    this.#expectedKept = 0
    this.#levelAtMs = Number.NEGATIVE_INFINITY
  }

  #takeLevel(): void {
    this.#levelAtMs = this.#nowMs
    this.#sinceLevel = 0
    const kept = this.limit < exactMin ? this.#expectedKept : this.#kept
    if (kept + 1 <= this.limit * freeShare) {
      this.#level = Number.POSITIVE_INFINITY
      return
    }
    const expected = [...this.#kinds()].map(kind => this.#expected(kind)).sort((a, b) => a - b)
    let left = Math.max(Math.min(leftMin, this.limit / 50), this.limit - kept)
    for (let i = 0; i < expected.length; i++) {
      const even = left / (expected.length - i)
      // The smallest that does not fit whole: it and all larger ones get the same.
      if ((expected[i] as number) > even) {
        this.#level = even
        return
      }
      left -= expected[i] as number
    }
    this.#level = kept >= this.limit ? leftMin : Number.POSITIVE_INFINITY
  }

  #shareOf(name: string): number {
    return Math.min(1, this.#level / Math.max(1, this.#expected(name)))
  }

  *#kinds(): Generator<string> {
    yield* this.#arrived.keys()
    for (const kind of this.#before.keys()) if (!this.#arrived.has(kind)) yield kind
  }

  /** Matches of the kind in the rest of the window, if it goes on as in this window and the one before. */
  #expected(kind: string): number {
    const arrived = this.#arrived.get(kind) ?? 0
    const before = this.#before.get(kind) ?? 0
    const fromMs = this.#window * this.#windowMs
    const left = 1 - (this.#nowMs - fromMs) / this.#windowMs
    const seen = (this.#nowMs - Math.max(fromMs, this.#sinceMs)) / this.#windowMs
    const rate =
      this.#before.size > 0
        ? (arrived + beforeWeight * before) / (seen + beforeWeight)
        : arrived / Math.max(seen, youngShare)
    return rate * left
  }

  #kindOf(kind: string): string {
    return this.#arrived.has(kind) || this.#arrived.size < kindsMax ? kind : 'other'
  }
}
