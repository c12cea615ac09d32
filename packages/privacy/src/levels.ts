import { contentKeys } from './content-keys.ts'
import { isIndexed, type LevelOverrides, LevelTable } from './level-overrides.ts'
import { structuralKeys } from './structural-keys.ts'
import { structuredKeys } from './structured-keys.ts'

/**
 * What a tier may hold of an attribute, by its key (design section 8):
 *
 *                 hot, 24 h   hot, 7 d   warm    cold
 *   structural    clear       clear      clear   clear
 *   structured    clear       clear      clear   keyed hash
 *   content       clear       -          -       -
 */
export type Level = 'structural' | 'structured' | 'content'

/** One line of the printed table. A number in a pattern is written `N`; `*` is any rest. */
export interface LevelRow {
  readonly pattern: string
  readonly level: Level
}

/**
 * Longest string, in UTF-16 units, that leaves the text index in the clear. A longer one, or one of
 * more than {@link clearTextWordsMax} words, is prose whatever its key promises: an application that
 * puts a question into `session.id` must not have it kept for a year.
 */
export const clearTextLengthMax = 256
export const clearTextWordsMax = 12

/** Keys are a client's to choose, so what is remembered about them is bounded. */
const memoEntriesMax = 8_192
const memoKeyLengthMax = 128

const exact = new Map<string, Level>()
const indexed = new Map<string, Level>()
for (const [level, keys] of [
  ['structural', structuralKeys],
  ['structured', structuredKeys],
  ['content', contentKeys],
] as const) {
  for (const pattern of keys) {
    if (pattern.endsWith('*')) continue
    const table = isIndexed(pattern) ? indexed : exact
    table.set(pattern, level)
  }
}

let memo = new Map<string, Level>()
let overrides: LevelTable | undefined

/**
 * What this deployment says of keys, before all lists. Of the whole thread: set once, before anything is
 * classed. What is stored already stays as it is.
 */
export function overrideLevels(given: LevelOverrides): void {
  const isAny = Object.values(given).some(patterns => patterns.length > 0)
  overrides = isAny ? new LevelTable(given) : undefined
  memo = new Map()
}

/**
 * The level of an attribute key, whatever its value's type. A key that no list names is content, so
 * that a new one can only be hidden by mistake, never shown; that is also why patterns ending in `*`
 * exist for content alone and need no look-up.
 */
export function levelOf(key: string): Level {
  const known = memo.get(key)
  if (known !== undefined) return known
  const level = classOf(key).level
  if (key.length > memoKeyLengthMax) return level
  if (memo.size >= memoEntriesMax) memo = new Map()
  memo.set(key, level)
  return level
}

/** Who says of a key what it is: this deployment, a list of this package, or nobody. */
export type LevelSource = 'configured' | 'list' | 'unlisted'

export interface KeyClass {
  readonly level: Level
  readonly source: LevelSource
  /** As it stands in the list or in the configuration; undefined where no pattern names the key. */
  readonly pattern: string | undefined
}

/** The level of a key, and which list says so. */
export function classOf(key: string): KeyClass {
  const pattern = withoutIndices(key)
  const configured = overrides?.find(key, pattern)
  if (configured !== undefined) return { ...configured, source: 'configured' }
  const own = exact.get(key)
  if (own !== undefined) return { level: own, source: 'list', pattern: key }
  const level = indexed.get(pattern)
  if (level !== undefined) return { level, source: 'list', pattern }
  const prefix = contentPrefixes.find(start => pattern.startsWith(start))
  if (prefix !== undefined) return { level: 'content', source: 'list', pattern: `${prefix}*` }
  return { level: 'content', source: 'unlisted', pattern: undefined }
}

/**
 * Whether a list names the key as content, by itself or by a pattern: what `levelOf` calls content may
 * also be a key that nobody thought of.
 */
export function isNamedContent(key: string): boolean {
  const { level, source } = classOf(key)
  return level === 'content' && source !== 'unlisted'
}

const contentPrefixes = contentKeys
  .filter(pattern => pattern.endsWith('*'))
  .map(pattern => pattern.slice(0, -1))

/** Whether a string under a structural or structured key may be shown at that key's level. */
export function isClearText(text: string): boolean {
  if (text.length > clearTextLengthMax) return false
  if (text.length <= clearTextWordsMax) return true
  let words = 1
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    // Space, tab, line ends; U+3000 and U+00A0 separate words too.
    if (unit === 32 || (unit >= 9 && unit <= 13) || unit === 0x3000 || unit === 0xa0) words++
  }
  return words <= clearTextWordsMax
}

/** Every listed pattern, structural first, each level sorted by pattern; ends with the catch-all. */
export function levelTable(): LevelRow[] {
  const rows = (level: Level, keys: readonly string[]): LevelRow[] =>
    keys.toSorted().map(pattern => ({ pattern, level }))
  return [
    ...rows('structural', structuralKeys),
    ...rows('structured', structuredKeys),
    ...rows('content', contentKeys),
    { pattern: '*', level: 'content' },
  ]
}

/** `llm.input_messages.12.message.role` → `llm.input_messages.N.message.role`. */
function withoutIndices(key: string): string {
  return key.replace(/(?<=^|\.)\d{1,6}(?=\.|$)/g, 'N')
}
