/** What moves the cursor, changes the terminal, begins a line or turns the direction of text. */
const unprintable = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu

const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * A text of others as one line that a terminal can do nothing with but show: whoever may send a span must not write to
 * the screen of who looks at it. What is taken out is shown as JavaScript would write it.
 */
export function printable(text: string): string {
  return text.replaceAll(unprintable, one => named[one] ?? escapeOf(one))
}

/** The same of every text in an answer or a report, keys too. */
export function printableIn<T>(value: T): T {
  return mapped(value) as T
}

function mapped(value: unknown): unknown {
  if (typeof value === 'string') return printable(value)
  if (Array.isArray(value)) return value.map(mapped)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [printable(key), mapped(one)]),
  )
}

function escapeOf(character: string): string {
  const code = character.charCodeAt(0)
  return code < 256
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`
}
