import type { AnyValue, KeyValue } from '@winnow/otlp'

/** Attributes as a program would set them; each name says which OTLP value it becomes. */
export function text(key: string, value: string): KeyValue {
  return { key, value: { stringValue: value } }
}

export function int(key: string, value: number | bigint): KeyValue {
  return { key, value: { intValue: BigInt(value) } }
}

export function double(key: string, value: number): KeyValue {
  return { key, value: { doubleValue: value } }
}

export function bool(key: string, value: boolean): KeyValue {
  return { key, value: { boolValue: value } }
}

export function texts(key: string, values: readonly string[]): KeyValue {
  return list(
    key,
    values.map(value => ({ stringValue: value })),
  )
}

export function doubles(key: string, values: readonly number[]): KeyValue {
  return list(
    key,
    values.map(value => ({ doubleValue: value })),
  )
}

export function list(key: string, values: readonly AnyValue[]): KeyValue {
  return { key, value: { arrayValue: { values } } }
}

export function keyValues(values: readonly KeyValue[]): AnyValue {
  return { kvlistValue: { values } }
}
