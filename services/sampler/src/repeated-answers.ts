import type { RuleAnswer } from '@winnow/model'

const texts = new WeakMap<RuleAnswer, string>()

/**
 * An answer that a rule gives to most traces: one object for all of them, whose JSON is known where it
 * is ASCII.
 */
export function repeated(answer: RuleAnswer): RuleAnswer {
  const text = JSON.stringify(answer)
  if (Buffer.byteLength(text) === text.length) texts.set(answer, text)
  return Object.freeze(answer)
}

/** The JSON of an answer that is {@link repeated}. */
export function repeatedText(answer: RuleAnswer): string | undefined {
  return texts.get(answer)
}
