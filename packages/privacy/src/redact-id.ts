import type { OnFound, Redactor } from './redactor.ts'

/** Where a client's own part begins of an id that has the trace's before it: `<32 hex digits>.<his own>`. */
const traceIdDigits = 32
const tracePart = /^[0-9a-fA-F]{32}\./

/**
 * The id of an evaluation. Redacted is what a client chose; the trace's id in front of that stays apart from it, or the
 * same id would be one thing with it and another without.
 */
export function redactEvaluationId(redactor: Redactor, id: string, onFound?: OnFound): string {
  const at = tracePart.test(id) ? traceIdDigits + 1 : 0
  return id.slice(0, at) + redactor.redactText(id.slice(at), onFound)
}
