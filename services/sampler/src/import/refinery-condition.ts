import { allOf, anyOf, isTooLong, literal, parenthesised, tooLong } from './imported.ts'
import {
  type Asked,
  asBoolean,
  asList,
  asNumber,
  asWritten,
  type Field,
  presence,
  statusIs,
  type Term,
} from './refinery-comparison.ts'

/** A condition of a rule in CEL; `ofSpan` where it is about one span, `s`. */
export type RefineryCondition =
  | {
      readonly ok: true
      readonly cel: string
      readonly ofSpan: boolean
      /** What it does not say as it is said there. */
      readonly differs: readonly string[]
      /** What to know of it. */
      readonly notes: readonly string[]
    }
  | { readonly ok: false; readonly why: string }

export function conditionOf(condition: Readonly<Record<string, unknown>>): RefineryCondition {
  const operator = String(condition.Operator)
  if (operator === 'has-root-span') {
    const isWanted = condition.Value === true || condition.Value === 'true'
    return { ok: true, cel: isWanted ? 'hasRoot' : '!hasRoot', ...says(false) }
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
  const { Value: value, Datatype: datatype } = condition
  const terms: string[] = []
  for (const [at, field] of fields.entries()) {
    const isLast = at === fields.length - 1
    const term = termOf(field, { operator, value, datatype, isLast })
    if (typeof term !== 'string') return { ok: false, why: term.why }
    // The first of several fields that is there is the one that is asked.
    const before = fields.slice(0, at).map(one => `!${parenthesised(presence(one))}`)
    terms.push(allOf([...before, term]))
  }
  const cel = operator === 'not-exists' ? allOf(terms) : anyOf(terms)
  return {
    ok: true,
    cel,
    ofSpan: fields.some(({ ofSpan }) => ofSpan),
    differs: fields.flatMap(field => differences(field, value)),
    notes: textOperators.has(operator) ? [`${operator}: ${tooLong}`] : [],
  }
}

const says = (ofSpan: boolean) => ({ ofSpan, differs: [], notes: [] })
const textOperators: ReadonlySet<string> = new Set([
  'starts-with',
  'contains',
  'does-not-contain',
  'matches',
])

function differences({ text }: Field, value: unknown): string[] {
  if (text === 'spanCount') {
    return ['?.NUM_DESCENDANTS counts span events and links too; here it is the number of spans']
  }
  if (text === 's.name' && [value].flat().includes('exception')) {
    return ['name exception is that of a span event there; here only spans have names']
  }
  return []
}

/** What is made of a span there and is no attribute of it. */
const derived: ReadonlySet<string> = new Set([
  'trace.trace_id',
  'trace.span_id',
  'trace.parent_id',
  'trace.trace_state',
  'parent_name',
  'type',
  'status_message',
  'library.name',
  'library.version',
  'span.num_events',
  'span.num_links',
])

/** Or why it is none here. */
function fieldOf(name: string): Field | string {
  if (name === '?.NUM_DESCENDANTS') return { text: 'spanCount', type: 'number', ofSpan: false }
  if (name.startsWith('?.')) return `the computed field ${name} is not known`
  if (name.startsWith('meta.')) return `${name} is Refinery's own`
  if (derived.has(name.replace(/^root\./, ''))) return `${name} is not recorded of a span`
  if (/^(root\.)?exception\./.test(name)) return `${name} is of span events, that are not recorded`
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
      if (isRoot) return `${name} is not recorded`
      return { text: 's.kind', type: 'string', ofSpan }
    case 'status_code':
      if (isRoot) return `${name} is not recorded; root.error is`
      return { text: 's.status', type: 'status', ofSpan }
    case 'service_name':
      return { text: `${of}.attribute["service.name"]`, type: 'values', ofSpan }
  }
  return { text: `${of}.attribute[${literal(key)}]`, type: 'values', ofSpan }
}

function termOf(field: Field, asked: Asked): Term {
  const { operator, value } = asked
  switch (operator) {
    case 'exists':
      return presence(field)
    case 'not-exists':
      return `!${parenthesised(presence(field))}`
    case '=':
    case '!=':
    case '>':
    case '<':
    case '>=':
    case '<=':
      return compared(field, asked)
    case 'starts-with':
      return called(field, asked, 'startsWith', '<nil>'.startsWith(String(value)))
    case 'contains':
      return called(field, asked, 'contains', '<nil>'.includes(String(value)))
    case 'does-not-contain':
      return unless(
        field,
        asked,
        called(field, { ...asked, isLast: false }, 'contains', false),
        !'<nil>'.includes(String(value)),
      )
    case 'matches':
      return called(field, asked, 'matches', matchesNil(String(value)))
    case 'in':
    case 'not-in': {
      const term = field.type === 'status' ? statusIs(asked) : asList(field, asked)
      const isStatus = field.type === 'status'
      return operator === 'in' || isStatus ? term : unless(field, asked, term, true)
    }
    default:
      return { why: `the operator ${operator} is not known` }
  }
}

function compared(field: Field, asked: Asked): Term {
  const { value, datatype } = asked
  if (field.type === 'status') return statusIs(asked)
  if (field.type === 'bool') return asFlag(field, asked)
  if (datatype === 'string') {
    if (field.type === 'number') return { why: `${field.text} is no text` }
    return asText(field, asked)
  }
  if (datatype === 'bool') return asBoolean(field, asked)
  if (datatype === 'int' || datatype === 'float' || field.type === 'number') {
    return asNumber(field, asked)
  }
  if (datatype !== undefined) return { why: `Datatype ${String(datatype)} is not known` }
  if (field.type === 'string' && typeof value !== 'string') {
    return { why: `${field.text} is a text, and ${String(value)} is none` }
  }
  return asWritten(field, asked)
}

/** What is not there is the text `<nil>` there. */
function asText(field: Field, asked: Asked): Term {
  const { operator } = asked
  const value = String(asked.value)
  if (operator !== '=' && operator !== '!=') return { why: 'texts are not compared by order here' }
  if (isTooLong(value)) return { why: tooLong }
  const of = field.type === 'values' ? `${field.text}.asText()` : field.text
  const term = `${of} == ${literal(value)}`
  return operator === '=' ? term : unless(field, asked, term, true)
}

/** `error` is there only where it is true. */
function asFlag({ text }: Field, { operator, value, datatype }: Asked): Term {
  const isTrue = value === true || (datatype !== undefined && value === 'true')
  const isFalse = value === false || (datatype !== undefined && value === 'false')
  if (operator === '=' && isTrue) return text
  if (operator === '!=' && isFalse && datatype !== 'string') return text
  if (operator === '!=' && isTrue && datatype === 'string') return `!${parenthesised(text)}`
  return { why: `error is there only where it is true, and error ${operator} ${value} is none` }
}

/** Another value, or none where that counts: of several fields the last is asked when none is there. */
function unless(field: Field, { isLast }: Asked, term: Term, isNilToo: boolean): Term {
  if (typeof term !== 'string') return term
  const isNot = `!${parenthesised(term)}`
  return isNilToo && isLast ? isNot : allOf([presence(field), isNot])
}

/** Coerced to text there, whatever the datatype; what is not there is `<nil>`. */
function called(field: Field, { value, isLast }: Asked, name: string, isNilToo: boolean): Term {
  if (field.type !== 'values' && field.type !== 'string') return { why: `${field.text} is no text` }
  if (name !== 'matches' && isTooLong(String(value))) return { why: tooLong }
  const of = field.type === 'values' ? `${field.text}.asText()` : field.text
  const term = `${of}.${name}(${literal(String(value))})`
  return isNilToo && isLast ? anyOf([`!${parenthesised(presence(field))}`, term]) : term
}

function matchesNil(pattern: string): boolean {
  try {
    return new RegExp(pattern, 'u').test('<nil>')
  } catch {
    return false
  }
}
