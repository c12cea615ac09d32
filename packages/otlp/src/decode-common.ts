// Hot: the writer decodes every kept span through these.
import {
  type AnyValue,
  anyValueDepthMax,
  type EntityRef,
  emptyValue,
  type InstrumentationScope,
  type KeyValue,
  type Resource,
} from './otlp.ts'
import type { WireReader } from './wire.ts'

/** A resource sent in two pieces is one: proto3 merges a message field that comes twice. */
export function readResource(reader: WireReader, before: Resource): Resource {
  const outer = reader.enter('Resource')
  const attributes = before.attributes.slice()
  let droppedAttributesCount = before.droppedAttributesCount
  let entityRefs: EntityRef[] | undefined = before.entityRefs?.slice()
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        attributes.push(readKeyValue(reader, 0))
        break
      case 16:
        droppedAttributesCount = reader.uint32()
        break
      case 26:
        entityRefs ??= []
        entityRefs.push(readEntityRef(reader))
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return entityRefs === undefined
    ? { attributes, droppedAttributesCount }
    : { attributes, droppedAttributesCount, entityRefs }
}

export function readScope(reader: WireReader, before: InstrumentationScope): InstrumentationScope {
  const outer = reader.enter('InstrumentationScope')
  let { name, version, droppedAttributesCount } = before
  const attributes = before.attributes.slice()
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        name = reader.cachedString()
        break
      case 18:
        version = reader.cachedString()
        break
      case 26:
        attributes.push(readKeyValue(reader, 0))
        break
      case 32:
        droppedAttributesCount = reader.uint32()
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return { name, version, attributes, droppedAttributesCount }
}

/** `depth` counts the AnyValues around this pair: 0 for an attribute. */
export function readKeyValue(reader: WireReader, depth: number): KeyValue {
  const outer = reader.enter('KeyValue')
  let key = ''
  let value = emptyValue
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        key = reader.cachedString()
        break
      case 18:
        if (depth === 0 && reader.skips?.(key)) reader.skip()
        else value = readAnyValue(reader, depth + 1)
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return { key, value }
}

/** Of several members of the union the last one counts. Deeper than `anyValueDepthMax`: refused. */
export function readAnyValue(reader: WireReader, depth: number): AnyValue {
  const outer = reader.enter('AnyValue')
  if (depth > anyValueDepthMax) {
    throw reader.refuse(`lies in more than ${anyValueDepthMax} values (anyValueDepthMax)`)
  }
  let value: AnyValue = emptyValue
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        value = { stringValue: reader.string() }
        break
      case 16:
        value = { boolValue: reader.bool() }
        break
      case 24:
        value = { intValue: reader.int64() }
        break
      case 33:
        value = { doubleValue: reader.double() }
        break
      case 42:
        value = { arrayValue: readArrayValue(reader, depth) }
        break
      case 50:
        value = { kvlistValue: readKeyValueList(reader, depth) }
        break
      case 58:
        value = { bytesValue: reader.bytes() }
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return value
}

function readArrayValue(reader: WireReader, depth: number): { values: AnyValue[] } {
  const outer = reader.enter('ArrayValue')
  const values: AnyValue[] = []
  while (reader.more()) {
    if (reader.tag() === 10) values.push(readAnyValue(reader, depth + 1))
    else reader.skip()
  }
  reader.leave(outer)
  return { values }
}

function readKeyValueList(reader: WireReader, depth: number): { values: KeyValue[] } {
  const outer = reader.enter('KeyValueList')
  const values: KeyValue[] = []
  while (reader.more()) {
    if (reader.tag() === 10) values.push(readKeyValue(reader, depth))
    else reader.skip()
  }
  reader.leave(outer)
  return { values }
}

function readEntityRef(reader: WireReader): EntityRef {
  const outer = reader.enter('EntityRef')
  let schemaUrl = ''
  let type = ''
  const idKeys: string[] = []
  const descriptionKeys: string[] = []
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        schemaUrl = reader.cachedString()
        break
      case 18:
        type = reader.cachedString()
        break
      case 26:
        idKeys.push(reader.cachedString())
        break
      case 34:
        descriptionKeys.push(reader.cachedString())
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return { schemaUrl, type, idKeys, descriptionKeys }
}
