import { PipelineError } from '@winnow/runtime'
import {
  type AnyValue,
  anyValueDepthMax,
  type InstrumentationScope,
  type KeyValue,
  type Resource,
} from './otlp.ts'
import type { WireWriter } from './wire-writer.ts'

/** Tags are number * 8 + wire type, in ascending order of the number: equal data, equal bytes. */
export function writeResource(writer: WireWriter, tag: number, resource: Resource): void {
  const start = writer.begin(tag, 2)
  for (const pair of resource.attributes) writeKeyValue(writer, 10, pair, 1)
  writer.uint32(16, resource.droppedAttributesCount)
  for (const entity of resource.entityRefs ?? []) {
    const from = writer.begin(26)
    writer.string(10, entity.schemaUrl)
    writer.string(18, entity.type)
    for (const key of entity.idKeys) writer.stringAlways(26, key)
    for (const key of entity.descriptionKeys) writer.stringAlways(34, key)
    writer.end(from)
  }
  writer.end(start, 2)
}

export function writeScope(writer: WireWriter, tag: number, scope: InstrumentationScope): void {
  const start = writer.begin(tag)
  writer.string(10, scope.name)
  writer.string(18, scope.version)
  for (const pair of scope.attributes) writeKeyValue(writer, 26, pair, 1)
  writer.uint32(32, scope.droppedAttributesCount)
  writer.end(start)
}

/** `depth` is the value's own: 1 for an attribute. The value is written even when empty. */
export function writeKeyValue(
  writer: WireWriter,
  tag: number,
  pair: KeyValue,
  depth: number,
): void {
  const start = writer.begin(tag)
  writer.string(10, pair.key)
  writeAnyValue(writer, 18, pair.value, depth)
  writer.end(start)
}

/** Throws PAYLOAD_INVALID deeper than `anyValueDepthMax`, so also for a value that contains itself. */
export function writeAnyValue(
  writer: WireWriter,
  tag: number,
  value: AnyValue,
  depth: number,
): void {
  if (depth > anyValueDepthMax) {
    throw new PipelineError(
      'PAYLOAD_INVALID',
      `a value lies in more than ${anyValueDepthMax} values (anyValueDepthMax); flatten it`,
    )
  }
  const start = writer.begin(tag)
  if ('stringValue' in value) writer.stringAlways(10, value.stringValue)
  else if ('boolValue' in value) writer.bool(16, value.boolValue)
  else if ('intValue' in value) writer.int64(24, value.intValue)
  else if ('doubleValue' in value) writer.double(33, value.doubleValue)
  else if ('bytesValue' in value) writer.bytes(58, value.bytesValue)
  else if ('arrayValue' in value) {
    const from = writer.begin(42)
    for (const item of value.arrayValue.values) writeAnyValue(writer, 10, item, depth + 1)
    writer.end(from)
  } else if ('kvlistValue' in value) {
    const from = writer.begin(50)
    for (const pair of value.kvlistValue.values) writeKeyValue(writer, 10, pair, depth + 1)
    writer.end(from)
  }
  writer.end(start)
}
