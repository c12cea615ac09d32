import { type DecidedEvaluation, type Decision, factTextBytesMax } from '@winnow/model'
import { isClearText } from '@winnow/privacy'

/**
 * A decision as a store may hold it for longer than a day: reasons of rescues are empty, labels and
 * sources that are long or read like prose are left out. Rules' values and slices' facts are facts
 * by construction.
 */
export function factsOnly(decision: Decision): Decision {
  if (decision.evaluations.length === 0 && decision.requests.length === 0) return decision
  return {
    ...decision,
    evaluations: decision.evaluations.map(withoutProse),
    requests: decision.requests.map(({ id }) => ({ id, reason: '' })),
  }
}

/** `factsOnly` as JSON: the text that the decision was parsed from where that says nothing else. */
export function factsText(decision: Decision): string {
  const facts = factsOnly(decision)
  return (facts === decision ? texts.get(decision) : undefined) ?? JSON.stringify(facts)
}

/** Remembers what a decision was parsed from: both stores keep its JSON, and writing it again costs more than parsing. */
export function rememberText(decision: Decision, json: string): void {
  texts.set(decision, json)
}

const texts = new WeakMap<Decision, string>()

function withoutProse(evaluation: DecidedEvaluation): DecidedEvaluation {
  const { id, name, spanId, score, label, passed, source, atMs, effect } = evaluation
  return {
    id,
    name,
    ...(spanId !== undefined && { spanId }),
    ...(score !== undefined && { score }),
    ...(label !== undefined && isFact(label) && { label }),
    ...(passed !== undefined && { passed }),
    ...(source !== undefined && isFact(source) && { source }),
    ...(atMs !== undefined && { atMs }),
    effect,
  }
}

function isFact(text: string): boolean {
  return Buffer.byteLength(text) <= factTextBytesMax && isClearText(text)
}
