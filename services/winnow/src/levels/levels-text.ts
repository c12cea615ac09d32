import type { LevelRow } from '@winnow/privacy'
import type { AttributeLevel, LevelsReport } from './attribute-levels.ts'

const keyColumns = 44

/** A line an attribute: its class, and why. Pure. */
export function levelsText({ spans, attributes, more }: LevelsReport): string {
  const lines = attributes.map(one =>
    [
      `  ${one.level.padEnd(10)} ${one.key.padEnd(keyColumns)}`,
      `${String(one.values).padStart(7)} ${one.places.join(', ')}`.padEnd(24),
      ` ${whyText(one)}`,
    ].join(''),
  )
  const unlisted = attributes.filter(({ source }) => source === 'unlisted').length
  return [
    `${attributes.length} attributes of ${spans} spans${more > 0 ? `, and ${more} more` : ''}`,
    ...lines,
    ...(unlisted > 0
      ? [
          '',
          `${unlisted} that no list names are content; levels in winnow.yaml says otherwise (docs/levels.md).`,
        ]
      : []),
    '',
  ].join('\n')
}

/** Who says so, and what of its values is hidden all the same. */
function whyText({ level, source, pattern, key, values, hidden, places }: AttributeLevel): string {
  const named = pattern === null || pattern === key ? '' : ` ${pattern}`
  const says = {
    configured: `levels.${level}${named}`,
    list: `list of ${level} keys${named}`,
    unlisted: 'no list names it',
  }[source]
  const isScope = places.length === 1 && places[0] === 'scope'
  const notes = [
    ...(hidden > 0 && level !== 'content'
      ? [`${hidden} of ${values} values are prose, long lists or maps: content`]
      : []),
    ...(isScope ? ['of a scope: stored with the text alone'] : []),
  ]
  return [says, ...notes].join('; ')
}

/** The lists themselves. Pure. */
export function tableText(rows: readonly LevelRow[]): string {
  return `${rows.map(({ level, pattern }) => `${level.padEnd(10)} ${pattern}`).join('\n')}\n`
}
