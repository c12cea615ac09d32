import { keyNature, keyNatureOf } from './key-nature.ts'
import { redactEvaluationId } from './redact-id.ts'
import type { Redactor } from './redactor.ts'
import { holdsSecret } from './secret-keys.ts'

/** Nobody takes anything that lies deeper: what is there is neither read nor answered. */
const depthMax = 16

/** Fields that hold ids of OpenTelemetry's: hexadecimal, of a fixed length, and no person's. */
const idFields = new Set(['traceId', 'spanId', 'observationId', 'trace_id', 'span_id'])
const idText = /^(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{32})$/

/** A value that JSON gave, every string and every key in it redacted; itself where there is nothing. */
export function redactJson(
  redactor: Redactor,
  value: unknown,
  onFound: (kind: string) => void,
  field = '',
  depth = 0,
): unknown {
  if (typeof value === 'string') {
    if (idFields.has(field) && idText.test(value)) return value
    if (field === 'id') return redactEvaluationId(redactor, value, onFound)
    const nature = keyNatureOf(field)
    if (nature !== keyNature.secret) {
      // An id of OpenTelemetry's that is none may be anything, and its refusal quotes it.
      const told = nature === keyNature.thing ? keyNature.any : nature
      return redactor.redactText(value, onFound, told)
    }
    const token = redactor.secret(value)
    if (token === undefined) return value
    onFound('secret')
    return token
  }
  if (typeof value !== 'object' || value === null || depth === depthMax) return value
  if (Array.isArray(value)) {
    return value.map(one => redactJson(redactor, one, onFound, field, depth + 1))
  }
  // Whatever lies under the key of a secret is one.
  const isSecret = holdsSecret(field)
  const entries = Object.entries(value).map(([key, one]) => [
    redactor.redactText(key, onFound),
    redactJson(redactor, one, onFound, isSecret ? field : key, depth + 1),
  ])
  return Object.fromEntries(entries)
}
