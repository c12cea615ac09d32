import { allOf, anyOf, isTooLong, literal, parenthesised, tooLong } from './imported.ts'

/** A field of a trace, by what it is here. */
export interface Field {
  readonly text: string
  readonly type: 'values' | 'string' | 'number' | 'bool' | 'status'
  readonly ofSpan: boolean
}

/** What a condition asks of one of its fields. */
export interface Asked {
  readonly operator: string
  readonly value: unknown
  readonly datatype: unknown
  /** The last of its fields: asked also where none of them is there. */
  readonly isLast: boolean
}

export type Term = string | { readonly why: string }

export function presence({ text, type }: Field): string {
  switch (type) {
    case 'values':
      return `${text}.isPresent()`
    case 'string':
    case 'status':
      return `${text} != ""`
    case 'number':
      return `${text} >= 0`
    case 'bool':
      return text
  }
}

/** Of a number there; whole numbers cut off what a span has after the point. */
export function asNumber(field: Field, { operator, value, datatype }: Asked): Term {
  const number = numberOf(value, datatype !== undefined)
  if (number === undefined) return { why: `${String(value)} is no number` }
  const of = field.type === 'values' ? `${field.text}.asNumber()` : field.text
  if (datatype === 'int') return cutOff(of, operator, Math.trunc(number))
  if (operator === '!=') return `${of} < ${number} || ${of} > ${number}`
  return `${of} ${operator === '=' ? '==' : operator} ${number}`
}

function numberOf(value: unknown, isConverted: boolean): number | undefined {
  const isText = isConverted && typeof value === 'string' && value.trim() !== ''
  return (typeof value === 'number' || isText) && Number.isFinite(Number(value))
    ? Number(value)
    : undefined
}

function cutOff(of: string, operator: string, bound: number): string {
  const from = (n: number) => (n > 0 ? `${of} >= ${n}` : `${of} > ${n - 1}`)
  const below = (n: number) => (n > 0 ? `${of} < ${n}` : `${of} <= ${n - 1}`)
  switch (operator) {
    case '>=':
      return from(bound)
    case '>':
      return from(bound + 1)
    case '<':
      return below(bound)
    case '<=':
      return below(bound + 1)
    case '=':
      return allOf([from(bound), below(bound + 1)])
    default:
      return anyOf([below(bound), from(bound + 1)])
  }
}

/** What is there and is none of these is false there. */
export function asBoolean(field: Field, { operator, value }: Asked): Term {
  if (field.type !== 'values') return { why: `${field.text} is no flag` }
  if (operator !== '=' && operator !== '!=') return { why: `${field.text} has no order` }
  const trues = ['1', 't', 'T', 'true', 'TRUE', 'True']
  const isTrue = `${field.text}.asText() in [${trues.map(literal).join(', ')}]`
  const isWanted = trues.includes(String(value)) === (operator === '=')
  return isWanted ? isTrue : allOf([presence(field), `!${parenthesised(isTrue)}`])
}

/** Without a datatype: values of one type compare, and no others. */
export function asWritten(field: Field, asked: Asked): Term {
  const { operator, value } = asked
  if (typeof value === 'number')
    return asNumber({ ...field, type: 'number' }, { ...asked, datatype: undefined })
  const isEqual = operator === '='
  if (!isEqual && operator !== '!=')
    return { why: 'texts and flags are not compared by order here' }
  if (typeof value === 'boolean') return `${field.text} == ${value === isEqual}`
  if (typeof value !== 'string') return { why: `${String(value)} is no value` }
  if (isTooLong(value)) return { why: tooLong }
  const term = `${field.text} == ${literal(value)}`
  return isEqual ? term : allOf([presence(field), `!${parenthesised(term)}`])
}

/** Texts on both sides, but where the datatype is one of numbers. */
export function asList(field: Field, { value, datatype }: Asked): Term {
  if (field.type === 'bool') return { why: 'a list of flags; compare with = instead' }
  const list = Array.isArray(value) ? value : [value]
  const isNumeric = field.type === 'number' || datatype === 'int' || datatype === 'float'
  if (!isNumeric && datatype !== undefined && datatype !== 'string') {
    return { why: `a list of Datatype ${String(datatype)}` }
  }
  if (isNumeric && field.type === 'string') return { why: `${field.text} is a text` }
  const of =
    field.type === 'values' ? `${field.text}.as${isNumeric ? 'Number' : 'Text'}()` : field.text
  const wanted = list.map(one => (isNumeric ? numberOf(one, true) : String(one)))
  if (wanted.some(one => one === undefined)) return { why: 'a list with what is no number' }
  if (wanted.some(one => typeof one === 'string' && isTooLong(one))) return { why: tooLong }
  return `${of} in [${wanted.map(one => literal(one as string | number)).join(', ')}]`
}

const statuses = ['UNSET', 'OK', 'ERROR']

/** Numbers there, names here: those whose number passes. */
export function statusIs({ operator, value, datatype }: Asked): Term {
  const isList = operator === 'in' || operator === 'not-in'
  if (datatype === 'bool') return { why: 'status_code is no flag' }
  const wanted = (isList && Array.isArray(value) ? value : [value]).map(one =>
    numberOf(one, isList || datatype !== undefined),
  )
  const [bound] = wanted
  if (bound === undefined || wanted.includes(undefined)) {
    return { why: `status_code is a number, and ${String(value)} is none` }
  }
  const names = statuses.filter((_, code) => passes(operator, code, wanted as number[]))
  if (names.length === statuses.length) return 's.status != ""'
  if (names.length === 0) return { why: `status_code ${operator} ${bound} is true of none` }
  return `s.status in [${names.map(literal).join(', ')}]`
}

function passes(operator: string, code: number, wanted: readonly number[]): boolean {
  const [bound] = wanted as [number]
  switch (operator) {
    case '=':
    case 'in':
      return wanted.includes(code)
    case '!=':
    case 'not-in':
      return !wanted.includes(code)
    case '>':
      return code > bound
    case '>=':
      return code >= bound
    case '<':
      return code < bound
    default:
      return code <= bound
  }
}
