import { describe, isObject, type JsonFields, type JsonObject } from './json-fields.ts'
import {
  type AnyValue,
  anyValueDepthMax,
  type EntityRef,
  emptyValue,
  type InstrumentationScope,
  type KeyValue,
  type Resource,
} from './otlp.ts'

export function resourceFrom(fields: JsonFields, value: unknown): Resource {
  const where = 'the resource'
  const from = fields.object(value, 'its envelope', 'resource')
  const attributes = attributesFrom(fields, from, where)
  const droppedAttributesCount = fields.uint32(from, 'droppedAttributesCount', where)
  const entityRefs = fields.list(from, 'entityRefs', where).map(item => entityFrom(fields, item))
  return entityRefs.length === 0
    ? { attributes, droppedAttributesCount }
    : { attributes, droppedAttributesCount, entityRefs }
}

export function scopeFrom(fields: JsonFields, value: unknown): InstrumentationScope {
  const where = 'the scope'
  const from = fields.object(value, 'its envelope', 'scope')
  return {
    name: fields.string(from, 'name', where),
    version: fields.string(from, 'version', where),
    attributes: attributesFrom(fields, from, where),
    droppedAttributesCount: fields.uint32(from, 'droppedAttributesCount', where),
  }
}

export function attributesFrom(fields: JsonFields, from: JsonObject, where: string): KeyValue[] {
  const list = fields.list(from, 'attributes', where)
  return list.map(item => keyValueFrom(fields, item, where, 1))
}

function keyValueFrom(fields: JsonFields, value: unknown, where: string, depth: number): KeyValue {
  if (!isObject(value)) {
    fields.note(where, 'an attribute', value, '{"key": …, "value": {…}}')
    return { key: '', value: emptyValue }
  }
  const key = fields.string(value, 'key', `an attribute of ${where}`)
  return { key, value: anyValueFrom(fields, value.value, key, depth) }
}

/** `depth` is the value's own: 1 for an attribute. A missing value and null are the empty one. */
export function anyValueFrom(
  fields: JsonFields,
  value: unknown,
  key: string,
  depth: number,
): AnyValue {
  if (value === undefined || value === null) return emptyValue
  if (!isObject(value)) {
    fields.note(attribute(key), 'the value', value, 'an object such as {"stringValue": …}')
    return emptyValue
  }
  if (depth > anyValueDepthMax) {
    fields.problem ??= `${attribute(key)} lies in more than ${anyValueDepthMax} values (anyValueDepthMax); flatten it`
    return emptyValue
  }
  let found = emptyValue
  for (const member in value) {
    const inner = value[member]
    if (inner !== null) found = memberFrom(fields, member, inner, key, depth) ?? found
  }
  return found
}

/** Undefined for a member that OTLP does not name. Of several the last one counts, as in protobuf. */
function memberFrom(
  fields: JsonFields,
  member: string,
  value: unknown,
  key: string,
  depth: number,
): AnyValue | undefined {
  switch (member) {
    case 'stringValue':
      if (typeof value === 'string') return { stringValue: value.toWellFormed() }
      fields.note(attribute(key), member, value, 'a string')
      return undefined
    case 'boolValue':
      if (typeof value === 'boolean') return { boolValue: value }
      fields.note(attribute(key), member, value, 'true or false')
      return undefined
    case 'intValue':
      return { intValue: fields.int64(value, attribute(key), member) }
    case 'doubleValue':
      return { doubleValue: fields.double(value, attribute(key), member) }
    case 'bytesValue':
      return bytesFrom(fields, value, key)
    case 'arrayValue': {
      const list = fields.list(fields.object(value, attribute(key), member), 'values', member)
      return { arrayValue: { values: list.map(it => anyValueFrom(fields, it, key, depth + 1)) } }
    }
    case 'kvlistValue': {
      const list = fields.list(fields.object(value, attribute(key), member), 'values', member)
      const where = attribute(key)
      return { kvlistValue: { values: list.map(it => keyValueFrom(fields, it, where, depth + 1)) } }
    }
    default:
      return undefined
  }
}

/** Standard or URL-safe alphabet, padded or not: proto3's JSON accepts all four. */
const base64Text = /^[A-Za-z0-9+/_-]*={0,2}$/

function bytesFrom(fields: JsonFields, value: unknown, key: string): AnyValue | undefined {
  if (
    typeof value !== 'string' ||
    !base64Text.test(value) ||
    value.replace(/=+$/, '').length % 4 === 1
  ) {
    fields.note(attribute(key), 'bytesValue', value, 'base64')
    return undefined
  }
  return { bytesValue: new Uint8Array(Buffer.from(value, 'base64')) }
}

/** Longest attribute key that a message repeats. */
const keyCharsMax = 64

function attribute(key: string): string {
  return `attribute ${JSON.stringify(key.slice(0, keyCharsMax))}`
}

function entityFrom(fields: JsonFields, value: unknown): EntityRef {
  const where = 'an entityRef'
  const from = fields.object(value, 'the resource', where)
  return {
    schemaUrl: fields.string(from, 'schemaUrl', where),
    type: fields.string(from, 'type', where),
    idKeys: stringsFrom(fields, from, 'idKeys', where),
    descriptionKeys: stringsFrom(fields, from, 'descriptionKeys', where),
  }
}

function stringsFrom(
  fields: JsonFields,
  from: JsonObject,
  field: string,
  where: string,
): readonly string[] {
  return fields.list(from, field, where).map(item => {
    if (typeof item === 'string') return item.toWellFormed()
    fields.problem ??= `${field} of ${where} holds ${describe(item)}; send strings`
    return ''
  })
}
