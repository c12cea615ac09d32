import type { Level } from './levels.ts'

/**
 * Keys of one deployment, by the level it gives them. As in the lists of this package `N` in a key's part
 * is any number; here `*` at a key's end is any rest, at every level.
 */
export type LevelOverrides = Readonly<Partial<Record<Level, readonly string[]>>>

/** Keys that one deployment may class anew, over all levels. */
export const levelOverridesMax = 1_000

/** Bytes of one of them. */
export const levelKeyBytesMax = 256

/** Letters, digits and what senders part words with; a space or a quote is a mistake in the file. */
const patternText = /^[A-Za-z0-9_$@/:[\]-][A-Za-z0-9_.$@/:[\]-]*\*?$|^\*$/

/** What is wrong with a pattern by itself; undefined: nothing. */
export function levelPatternMistake(pattern: string): string | undefined {
  if (pattern === '*') return '* alone would class every key: name a prefix, as acme.*'
  if (Buffer.byteLength(pattern) > levelKeyBytesMax) {
    return `a key has at most ${levelKeyBytesMax} bytes`
  }
  if (patternText.test(pattern)) return undefined
  return 'give a key as acme.order.state, acme.items.N.sku or acme.*'
}

/** Overrides as a look-up: exact keys first, then those with an index, then the longest prefix. */
export class LevelTable {
  readonly #exact = new Map<string, Level>()
  readonly #indexed = new Map<string, Level>()
  readonly #prefixes: readonly (readonly [prefix: string, level: Level])[]

  constructor(overrides: LevelOverrides) {
    const prefixes: [string, Level][] = []
    for (const [level, patterns] of Object.entries(overrides) as [Level, readonly string[]][]) {
      for (const pattern of patterns) {
        if (pattern.endsWith('*')) prefixes.push([pattern.slice(0, -1), level])
        else if (isIndexed(pattern)) this.#indexed.set(pattern, level)
        else this.#exact.set(pattern, level)
      }
    }
    this.#prefixes = prefixes.sort(([a], [b]) => b.length - a.length)
  }

  /** Level and the pattern that says so; undefined: none does. */
  find(
    key: string,
    indexless: string,
  ): { readonly level: Level; readonly pattern: string } | undefined {
    const exact = this.#exact.get(key)
    if (exact !== undefined) return { level: exact, pattern: key }
    const indexed = this.#indexed.get(indexless)
    if (indexed !== undefined) return { level: indexed, pattern: indexless }
    const prefix = this.#prefixes.find(([start]) => indexless.startsWith(start))
    return prefix && { level: prefix[1], pattern: `${prefix[0]}*` }
  }
}

export function isIndexed(pattern: string): boolean {
  return /(^|\.)N(\.|$)/.test(pattern)
}
