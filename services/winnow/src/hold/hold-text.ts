import type { ShownHold } from '@winnow/query'

const has = {
  full: 'full, with its text',
  structured: 'structured: without its text',
  hashed: 'hashed: without its text, and keyed hashes of its strings',
} as const

/** A hold for people: what of which trace, for whom, until when. Pure. */
export function holdText(hold: ShownHold): string {
  const { id, traceId, level, spans, complete, reason, by, key, madeAt, until } = hold
  const person = by ?? '(for keys with the scope content or admin)'
  return [
    `hold ${id}  until ${until}`,
    `  trace    ${traceId}`,
    `  holds    ${has[level]}; ${spans} spans${complete ? '' : ', not all that were stored'}`,
    `  by       ${person}, at ${madeAt}${key === undefined ? '' : `, with key ${key}`}`,
    `  because  ${reason ?? '(for keys with the scope content)'}`,
    '',
  ].join('\n')
}
