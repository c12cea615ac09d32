import { codePointsOf, type NameSpan } from './name-spans.ts'

/**
 * What a detector answered for each of `texts`: a list of spans for one, a list of such lists for several. Undefined
 * for a text: what was said of it cannot be so. Undefined for all: it is no answer.
 */
export function readNameAnswer(
  body: string,
  texts: readonly string[],
): readonly (readonly NameSpan[] | undefined)[] | undefined {
  let answer: unknown
  try {
    answer = JSON.parse(body)
  } catch {
    return undefined
  }
  if (!Array.isArray(answer)) return undefined
  const lists: readonly unknown[] = texts.length === 1 ? [answer] : answer
  if (lists.length !== texts.length || !lists.every(Array.isArray)) return undefined
  return texts.map((text, at) => spansOf(lists[at] as readonly unknown[], codePointsOf(text)))
}

function spansOf(list: readonly unknown[], length: number): readonly NameSpan[] | undefined {
  const spans: NameSpan[] = []
  for (const one of list) {
    const span = spanOf(one, length)
    if (span === undefined) return undefined
    spans.push(span)
  }
  return spans
}

function spanOf(one: unknown, length: number): NameSpan | undefined {
  if (typeof one !== 'object' || one === null) return undefined
  const { start, end, entity_type: entity, score } = one as Readonly<Record<string, unknown>>
  if (!isPlace(start, length) || !isPlace(end, length) || start >= end) return undefined
  if (typeof entity !== 'string' || typeof score !== 'number') return undefined
  return { start, end, entity, score }
}

function isPlace(value: unknown, length: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= length
}
