import { exactInteger } from './json-text.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/**
 * Reads the fields of OTLP/JSON objects into proto3's types. What is wrong is noted, not thrown: the
 * reader goes on with the default, and whoever asked for the whole span looks at `problem` at the
 * end. A batch of nothing but bad spans then costs no more than a good one.
 * Null is the default, as in proto3's JSON; a field that OTLP does not name is never looked at.
 */
export class JsonFields {
  /** The first thing found wrong since `reset`: the field, what it holds, what to send. */
  problem: string | undefined

  reset(problem: string | undefined): void {
    this.problem = problem
  }

  note(where: string, field: string, value: unknown, remedy: string): void {
    this.problem ??= `${field} of ${where} is ${describe(value)}; send ${remedy}`
  }

  object(value: unknown, where: string, field: string): JsonObject {
    if (isObject(value)) return value
    if (value !== undefined && value !== null) this.note(where, field, value, 'an object')
    return nothing
  }

  list(from: JsonObject, field: string, where: string): readonly unknown[] {
    const value = from[field]
    if (Array.isArray(value)) return value
    if (value !== undefined && value !== null) {
      const remedy = field === 'attributes' ? 'a list of {"key": …, "value": {…}}' : 'a list'
      this.note(where, field, value, remedy)
    }
    return []
  }

  /** A lone surrogate has no UTF-8, so it becomes U+FFFD here and not later on the way to the bus. */
  string(from: JsonObject, field: string, where: string): string {
    const value = from[field]
    if (typeof value === 'string') return value.toWellFormed()
    if (value !== undefined && value !== null) this.note(where, field, value, 'a string')
    return ''
  }

  uint32(from: JsonObject, field: string, where: string): number {
    const value = from[field]
    if (value === undefined || value === null) return 0
    const exact = integerOf(value)
    if (exact !== undefined && exact >= 0n && exact <= 0xffff_ffffn) return Number(exact)
    this.note(where, field, value, 'an integer from 0 to 4294967295')
    return 0
  }

  /** OTLP/JSON takes an enum's number alone, unlike proto3's JSON. Numbers not known yet are kept. */
  enumNumber(from: JsonObject, field: string, where: string): number {
    const value = from[field]
    if (value === undefined || value === null) return 0
    if (typeof value === 'number' && (value | 0) === value) return value | 0
    this.note(where, field, value, 'the number of the enum, not its name')
    return 0
  }

  uint64(from: JsonObject, field: string, where: string): bigint {
    const value = from[field]
    if (value === undefined || value === null) return 0n
    const exact = integerOf(value)
    if (exact !== undefined && exact >= 0n && exact <= uint64Max) return exact
    this.note(where, field, value, 'an unsigned 64-bit integer as a string of decimal digits')
    return 0n
  }

  int64(value: unknown, where: string, field: string): bigint {
    const exact = integerOf(value)
    if (exact !== undefined && exact >= int64Min && exact <= int64Max) return exact
    this.note(where, field, value, 'a 64-bit integer as a string of decimal digits')
    return 0n
  }

  double(value: unknown, where: string, field: string): number {
    if (typeof value === 'number') return value
    if (typeof value === 'string' && doubleText.test(value)) return Number(value)
    this.note(where, field, value, 'a number, "NaN", "Infinity" or "-Infinity"')
    return 0
  }

  /** Lower case. Digits are 32 for a trace id, 16 for a span id; '' when it may be left out. */
  id(from: JsonObject, field: string, where: string, digits: number, required: boolean): string {
    const value = from[field]
    const absent = value === undefined || value === null || value === ''
    if (absent && !required) return ''
    if (typeof value === 'string' && value.length === digits && hexText.test(value)) {
      if (!required || nonZero.test(value)) return value.toLowerCase()
    }
    this.note(where, field, value, `${digits} hex digits${required ? ', not all zero' : ''}`)
    return ''
  }
}

const nothing: JsonObject = {}
const uint64Max = 2n ** 64n - 1n
const int64Max = 2n ** 63n - 1n
const int64Min = -(2n ** 63n)
const hexText = /^[0-9a-fA-F]+$/
const nonZero = /[^0]/
const doubleText = /^(?:NaN|-?Infinity|-?\d{1,400}(?:\.\d{1,1100})?(?:[eE][+-]?\d{1,5})?)$/

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A double above 2^53 may be another integer than the one that was sent, so it is none. */
function integerOf(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  return typeof value === 'string' ? exactInteger(value) : undefined
}

/** Names of enums, and digits: what a message may repeat of a sender's text. Anything else may be about somebody. */
const shownText = /^(?:[A-Z][A-Z0-9_]{0,39}|[0-9a-fA-F-]{1,16})$/

export function describe(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  if (typeof value !== 'string') return `the ${typeof value} ${String(value)}`
  if (shownText.test(value)) return `the string ${JSON.stringify(value)}`
  return `a string of ${value.length} characters`
}
