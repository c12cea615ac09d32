import { isBriefKey } from '@winnow/otlp'
import { classOf, type Level, levelOverridesMax, levelPatternMistake } from '@winnow/privacy'
import { z } from 'zod'

const levels = ['structural', 'structured', 'content'] as const satisfies readonly Level[]

const patterns = z.array(z.string()).default([])

/** Attributes of this deployment by their content level, before the lists of the program. */
export const levelsConfigSchema = z
  .strictObject({
    /** Names and numbers of a small vocabulary: clear for as long as cold lasts. */
    structural: patterns,
    /** Identifiers: clear for as long as warm lasts, then a keyed hash. */
    structured: patterns,
    /** What people and models write: for a day, in hot alone. */
    content: patterns,
  })
  .prefault({})
  .superRefine((given, context) => {
    const seen = new Set<string>()
    for (const level of levels) {
      for (const [index, pattern] of given[level].entries()) {
        const message = seen.has(pattern)
          ? 'is given twice: one level has it'
          : (levelPatternMistake(pattern) ?? columnMistake(pattern, level))
        seen.add(pattern)
        if (message !== undefined)
          context.addIssue({ code: 'custom', path: [level, index], message })
      }
    }
    if (seen.size > levelOverridesMax) {
      context.addIssue({ code: 'custom', message: `at most ${levelOverridesMax} keys in all` })
    }
  })

/** What has a column of its own in every tier would stay there whatever its key is called. */
function columnMistake(pattern: string, level: Level): string | undefined {
  const hasColumn = pattern === 'service.name' || isBriefKey(pattern)
  if (!hasColumn || classOf(pattern).level === level) return undefined
  return 'has a column of its own in every tier, which its level does not change: take it out'
}
