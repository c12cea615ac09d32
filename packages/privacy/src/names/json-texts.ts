/** JSON in strings of JSON: deeper, a string is looked at as it stands. */
const depthMax = 6

/**
 * Strings of one value, those of JSON in it too. Each is an object until the whole value has been looked at, fifty
 * times what two quotes take.
 */
export const literalsMax = 65_536

const quote = 0x22
const backslash = 0x5c
const colon = 0x3a

/** A string of a JSON text: its content lies between the quotes. */
interface Literal {
  readonly start: number
  readonly end: number
  readonly text: string
  readonly isKey: boolean
}

/**
 * A value with each text in it mapped; undefined where none was. Of JSON those are its strings, also of JSON within
 * them, and keys that are more than a word, so that what was JSON stays it and no name is torn by an escape. JSON that
 * was cut short counts too. Anything else is one text. What has more than {@link literalsMax} strings is given to
 * `mapLarge`, whole.
 */
export function mapTexts(
  value: string,
  map: (text: string) => string | undefined,
  mapLarge: (value: string) => string | undefined,
): string | undefined {
  const mapped = mapWithin(value, map, { left: literalsMax }, 0)
  return mapped === tooMany ? mapLarge(value) : mapped
}

const tooMany = Symbol('more than literalsMax')

interface Room {
  left: number
}

function mapWithin(
  value: string,
  map: (text: string) => string | undefined,
  room: Room,
  depth: number,
): string | undefined | typeof tooMany {
  const literals = depth < depthMax ? literalsOf(value, room) : undefined
  if (literals === tooMany) return tooMany
  if (literals === undefined) return map(value)
  const out: string[] = []
  let at = 0
  for (const { start, end, text, isKey } of literals) {
    if (isKey && !/\s/.test(text)) continue
    const mapped = mapWithin(text, map, room, depth + 1)
    if (mapped === tooMany) return tooMany
    if (mapped === undefined) continue
    out.push(value.slice(at, start), JSON.stringify(mapped).slice(1, -1))
    at = end
  }
  return out.length === 0 ? undefined : out.join('') + value.slice(at)
}

/** Undefined: it is no JSON, for between its strings stands what is none. */
function literalsOf(value: string, room: Room): Literal[] | undefined | typeof tooMany {
  if (!/^\s*["{[]/.test(value)) return undefined
  const literals: Literal[] = []
  for (let at = 0; at < value.length; at++) {
    if (value.charCodeAt(at) !== quote) {
      const after = afterSyntax(value, at)
      if (after === at) return undefined
      at = after - 1
      continue
    }
    if (room.left-- <= 0) return tooMany
    const start = at + 1
    const end = endOfLiteral(value, start)
    const content = textOf(value, start, end)
    if (content === undefined) return undefined
    const { text, length } = content
    const isKey = value.charCodeAt(afterBlanks(value, end + 1)) === colon
    literals.push({ start, end: start + length, text, isKey })
    at = end
  }
  return literals
}

/** Where the quote is that closes it, or the end of what was cut short. */
function endOfLiteral(value: string, start: number): number {
  for (let at = start; at < value.length; at++) {
    const unit = value.charCodeAt(at)
    if (unit === backslash) at++
    else if (unit === quote) return at
  }
  return value.length
}

/** `length` is that of what it was made of: half of an escape at the end of what was cut short is left out. */
function textOf(
  value: string,
  start: number,
  end: number,
): { readonly text: string; readonly length: number } | undefined {
  const raw = value.slice(start, end)
  if (!raw.includes('\\')) return { text: raw, length: raw.length }
  const whole =
    end < value.length ? raw : raw.replace(/(?<!\\)((?:\\\\)*)\\(?:u[\da-fA-F]{0,3})?$/, '$1')
  try {
    return { text: JSON.parse(`"${whole}"`) as string, length: whole.length }
  } catch {
    return undefined
  }
}

const words = ['true', 'false', 'null']

/** Signs, digits and blanks that stand between strings. */
const isSyntax = new Uint8Array(128)
for (const char of ' \t\r\n{}[]:,0123456789.eE+-') isSyntax[char.charCodeAt(0)] = 1

/** Behind the signs, digits and words of JSON; `from` where none stands. */
function afterSyntax(value: string, from: number): number {
  let at = from
  while (at < value.length && isSyntax[value.charCodeAt(at)] === 1) at++
  if (at > from) return at
  for (const word of words) {
    const there = value.slice(at, at + word.length)
    if (there === word) return at + word.length
    if (at + there.length === value.length && word.startsWith(there)) return value.length
  }
  return at
}

function afterBlanks(value: string, from: number): number {
  let at = from
  while (at < value.length && /\s/.test(value[at] as string)) at++
  return at
}
