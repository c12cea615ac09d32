import { allOf, anyOf, literal, parenthesised } from './imported.ts'

/** A condition of a rule in CEL; `ofSpan` where it is about one span, `s`. */
export type RefineryCondition =
  | { readonly ok: true; readonly cel: string; readonly ofSpan: boolean }
  | { readonly ok: false; readonly why: string }

type Scalar = string | number | boolean

/** A field of a trace, by what it is here. */
interface Field {
  readonly text: string
  readonly type: 'values' | 'string' | 'number' | 'bool'
  readonly ofSpan: boolean
}

export function conditionOf(condition: Readonly<Record<string, unknown>>): RefineryCondition {
  const operator = String(condition.Operator)
  if (operator === 'has-root-span') {
    const isWanted = condition.Value === true || condition.Value === 'true'
    return { ok: true, cel: isWanted ? 'hasRoot' : '!hasRoot', ofSpan: false }
  }
  const names = [condition.Field, ...(Array.isArray(condition.Fields) ? condition.Fields : [])]
  const fields: Field[] = []
  for (const name of names) {
    if (name === undefined || name === null) continue
    const field = fieldOf(String(name))
    if (typeof field === 'string') return { ok: false, why: field }
    fields.push(field)
  }
  if (fields.length === 0) return { ok: false, why: 'a condition without a field' }
  const terms: string[] = []
  for (const [at, field] of fields.entries()) {
    const term = termOf(field, operator, condition)
    if (typeof term !== 'string') return { ok: false, why: term.why }
    // The first of several fields that is there is the one that is asked.
    const before = fields.slice(0, at).map(one => `!${parenthesised(presence(one))}`)
    terms.push(allOf([...before, term]))
  }
  const cel = operator === 'not-exists' ? allOf(terms) : anyOf(terms)
  return { ok: true, cel, ofSpan: fields.some(({ ofSpan }) => ofSpan) }
}

/** Or why it is none here. */
function fieldOf(name: string): Field | string {
  if (name === '?.NUM_DESCENDANTS') return { text: 'spanCount', type: 'number', ofSpan: false }
  if (name.startsWith('?.')) return `the computed field ${name} is not known`
  if (name.startsWith('meta.')) return `${name} is Refinery's own`
  const isRoot = name.startsWith('root.')
  const key = isRoot ? name.slice(5) : name
  const of = isRoot ? 'root' : 's'
  const ofSpan = !isRoot
  switch (key) {
    case 'name':
      return { text: `${of}.name`, type: 'string', ofSpan }
    case 'duration_ms':
      return { text: `${of}.durationMs`, type: 'number', ofSpan }
    case 'error':
      return { text: isRoot ? 'root.failed' : 's.status == "ERROR"', type: 'bool', ofSpan }
    case 'span.kind':
      if (!isRoot) return { text: 's.kind', type: 'string', ofSpan }
      break
    case 'service_name':
      return { text: `${of}.attribute["service.name"]`, type: 'values', ofSpan }
  }
  return { text: `${of}.attribute[${literal(key)}]`, type: 'values', ofSpan }
}

function presence({ text, type }: Field): string {
  switch (type) {
    case 'values':
      return `${text}.isPresent()`
    case 'string':
      return `${text} != ""`
    case 'number':
      return `${text} >= 0`
    case 'bool':
      return text
  }
}

type Term = string | { readonly why: string }

function termOf(
  field: Field,
  operator: string,
  { Value, Datatype }: Readonly<Record<string, unknown>>,
): Term {
  switch (operator) {
    case 'exists':
      return presence(field)
    case 'not-exists':
      return `!${parenthesised(presence(field))}`
    case '=':
    case '>':
    case '<':
    case '>=':
    case '<=':
      return compared(field, operator === '=' ? '==' : operator, Value, Datatype)
    case '!=':
      return unless(field, compared(field, '==', Value, Datatype))
    case 'starts-with':
      return called(field, 'startsWith', Value)
    case 'contains':
      return called(field, 'contains', Value)
    case 'does-not-contain':
      return unless(field, called(field, 'contains', Value))
    case 'matches':
      return called(field, 'matches', Value)
    case 'in':
      return oneOf(field, Value, Datatype)
    case 'not-in':
      return unless(field, oneOf(field, Value, Datatype))
    default:
      return { why: `the operator ${operator} is not known` }
  }
}

/** A field that is not there fulfils nothing, not even that it is another. */
function unless(field: Field, term: Term): Term {
  if (typeof term !== 'string') return term
  const isNot = `!${parenthesised(term)}`
  return field.type === 'bool' ? isNot : allOf([presence(field), isNot])
}

function compared(field: Field, operator: string, value: unknown, datatype: unknown): Term {
  const wanted = converted(value, datatype ?? naturalType(field))
  if (wanted === undefined) return { why: `${String(value)} is no ${String(datatype)}` }
  if (field.type === 'bool') {
    if (operator !== '==') return { why: `${field.text} ${operator} has no order` }
    return wanted === true || wanted === 'true' ? field.text : `!${parenthesised(field.text)}`
  }
  if (typeof wanted === 'string' && operator !== '==') {
    return { why: 'texts are not compared by order here' }
  }
  const isFitting = field.type === 'values' || typeof wanted === field.type
  if (!isFitting) return { why: `${field.text} is a ${field.type}, and ${String(value)} is none` }
  return `${typed(field, datatype)} ${operator} ${literal(wanted)}`
}

function naturalType({ type }: Field): string | undefined {
  if (type === 'values') return undefined
  return type === 'number' ? 'float' : type
}

function converted(value: unknown, datatype: unknown): Scalar | undefined {
  switch (datatype) {
    case 'int':
    case 'float': {
      const number = Number(value)
      if (!Number.isFinite(number)) return undefined
      return datatype === 'int' ? Math.trunc(number) : number
    }
    case 'string':
      return String(value)
    case 'bool':
      return value === true || value === 'true' || value === 1
    default:
      return typeof value === 'object' ? undefined : (value as Scalar)
  }
}

function typed({ text, type }: Field, datatype: unknown): string {
  if (type !== 'values') return text
  if (datatype === 'int' || datatype === 'float') return `${text}.asNumber()`
  if (datatype === 'bool') return `${text}.asBool()`
  return datatype === 'string' ? `${text}.asText()` : text
}

/** Coerced to text there, whatever the datatype. */
function called(field: Field, name: string, value: unknown): Term {
  if (field.type === 'number' || field.type === 'bool') {
    return { why: `${field.text} is no text` }
  }
  const of = field.type === 'values' ? `${field.text}.asText()` : field.text
  return `${of}.${name}(${literal(String(value))})`
}

function oneOf(field: Field, value: unknown, datatype: unknown): Term {
  const wanted = (Array.isArray(value) ? value : [value]).map(one =>
    converted(one, datatype ?? naturalType(field)),
  )
  const types = new Set(wanted.map(one => typeof one))
  if (types.has('undefined') || types.size > 1) {
    return { why: 'a list whose values are not of one type' }
  }
  if (field.type === 'bool' || types.has('boolean')) {
    return { why: 'a list of flags; compare with = instead' }
  }
  return `${typed(field, datatype)} in [${wanted.map(one => literal(one as Scalar)).join(', ')}]`
}
