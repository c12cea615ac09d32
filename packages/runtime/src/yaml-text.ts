/** Largest YAML file that is read: a configuration or a policy is a page or two. */
export const yamlBytesMax = 256 * 1024

/** Most lines of one: a parser that finds a mistake in each takes its time over them. */
export const yamlLinesMax = 2_500

/** Deepest nesting of one; the parser's time and stack grow with it. */
export const yamlDepthMax = 64

/** What keeps a text from being parsed as YAML at all, before a parser is asked; undefined where nothing does. */
export function yamlTextMistake(text: string): string | undefined {
  const bytes = Buffer.byteLength(text)
  if (bytes > yamlBytesMax) {
    return `has ${bytes} bytes, more than ${yamlBytesMax}; leave out what is no configuration`
  }
  const lines = text.split('\n')
  if (lines.length > yamlLinesMax) {
    return `has ${lines.length} lines, more than ${yamlLinesMax}; leave out what is no configuration`
  }
  return isDeep(text, lines)
    ? `is nested deeper than ${yamlDepthMax} levels; check its brackets`
    : undefined
}

/** By brackets open at once, by dashes, question marks or colons in a row, and by indentation. */
function isDeep(text: string, lines: readonly string[]): boolean {
  let open = 0
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === openBracket || char === openBrace) {
      if (++open > yamlDepthMax) return true
    } else if ((char === closeBracket || char === closeBrace) && open > 0) open--
  }
  if (marksInARow.test(text)) return true
  return lines.some(line => (/^[ \t]*/.exec(line)?.[0].length ?? 0) > 4 * yamlDepthMax)
}

/** `- - - -`, also behind something else: each opens a level. */
const marksInARow = new RegExp(`(?:[-?:][ \\t]+){${yamlDepthMax + 1}}`)
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d]

/**
 * What a YAML parser refused, by its place and kind alone: its own words quote the text, in which a secret
 * may stand. The parser is to be told `prettyErrors: false`.
 */
export function yamlMistake(error: unknown, text: string): string {
  const { code, pos } = error as { readonly code?: string; readonly pos?: readonly number[] }
  const kind = code ?? 'an alias that nothing defines: quote a text that begins with *'
  if (pos?.[0] === undefined) return `is no YAML (${kind})`
  const before = text.slice(0, pos[0]).split('\n')
  return `is no YAML at line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1} (${kind})`
}
