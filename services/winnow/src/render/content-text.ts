import type { Content } from '@winnow/query'

/**
 * What is left of a trace's spans, as a sentence; undefined where all of it is there. `tier`: where it was
 * read from; `isWithheld`: there may be more, for another key. Pure.
 */
export function contentText(
  content: Content,
  tier?: string,
  isWithheld = false,
): string | undefined {
  const { level, since, until, missing, unlinkable, hold } = content
  const held = hold === undefined ? '' : ` Kept by hold ${hold} until ${until}.`
  const from = `${held}${tier === undefined ? '' : ` Read from ${tier}.`}`
  const lacking =
    missing.includes('spans') && level !== 'none' ? ' Not all of its spans are there.' : ''
  const when = since === null ? '' : ` since ${since}`
  const rest = until === null || hold !== undefined ? '' : `, until ${until} at least`
  switch (level) {
    case 'full':
      return lacking + held === '' ? undefined : `Content: full${rest}.${lacking}${from}`
    case 'structured':
      if (isWithheld) {
        return `Content: structured: the text is for keys with the scope content.${lacking}${from}`
      }
      return `Content: structured${when}${rest}: its text (messages, prompts, results) has expired.${lacking}${from}`
    case 'hashed':
      return `Content: hashed${when}${rest}: its text has expired, and of every string under a key that is not structural a keyed hash is left${unlinkable ? ', whose key has been destroyed: it can be compared with nothing of since' : ''}.${lacking}${from}`
    case 'none':
      return `Content: none${when}: every tier’s time is over.`
  }
}
