import { type Document, isScalar, LineCounter, parseDocument, type Scalar } from 'yaml'

/** Where in a YAML text a character of one of its values stands. */
export class SourceMap {
  readonly #yaml: string
  readonly #document: Document
  #lines: LineCounter | undefined

  constructor(yaml: string, document: Document) {
    this.#yaml = yaml
    this.#document = document
  }

  /** Line and column, counted from 1, of the character at `offset` of the text at `path`. */
  at(path: readonly (string | number)[], offset: number): { line: number; column: number } {
    const node = this.#document.getIn(path, true)
    const position = isScalar(node) ? this.#positionIn(node as Scalar<string>, offset) : 0
    const { line, col } = this.#counted().linePos(position)
    return { line, column: col }
  }

  /**
   * A value that is folded, indented or escaped differs from its source in white space and in what
   * escapes: what is neither is counted in both.
   */
  #positionIn({ range, type, value }: Scalar<string>, offset: number): number {
    const [from, to] = range ?? [0, 0]
    const wanted = visible(value.slice(0, offset))
    const isDouble = type === 'QUOTE_DOUBLE'
    const isQuoted = isDouble || type === 'QUOTE_SINGLE'
    const isBlock = type === 'BLOCK_LITERAL' || type === 'BLOCK_FOLDED'
    let at = isQuoted ? from + 1 : isBlock ? this.#yaml.indexOf('\n', from) + 1 : from
    for (let seen = 0; at < to; at++) {
      const isEscape =
        (isDouble && this.#yaml[at] === '\\') || (isQuoted && this.#isDoubled(at, type))
      if (isEscape) at++
      if (isBlank(this.#yaml[at])) continue
      if (seen === wanted) return at
      seen++
    }
    return from
  }

  /** The first of two quotes that stand for one. */
  #isDoubled(at: number, type: unknown): boolean {
    return type === 'QUOTE_SINGLE' && this.#yaml[at] === "'" && this.#yaml[at + 1] === "'"
  }

  #counted(): LineCounter {
    if (this.#lines === undefined) {
      this.#lines = new LineCounter()
      parseDocument(this.#yaml, { lineCounter: this.#lines, logLevel: 'error' })
    }
    return this.#lines
  }
}

function visible(text: string): number {
  let count = 0
  for (const character of text) if (!isBlank(character)) count += character.length
  return count
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\n' || character === '\r' || character === '\t'
}
