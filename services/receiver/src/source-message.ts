import type { BusRecord } from '@winnow/bus'
import type { KafkaSourceConfig } from './kafka-source-config.ts'

/** As a key of the configuration may name one. */
const tenantCharsMax = 64

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Whose the message is; undefined where a header has to say it and does not. */
export function tenantOf(
  { header }: Pick<BusRecord, 'header'>,
  { tenant, tenantHeader }: Pick<KafkaSourceConfig, 'tenant' | 'tenantHeader'>,
): string | undefined {
  if (tenantHeader === undefined) return tenant ?? 'default'
  if (header === undefined) return tenant
  let text: string
  try {
    text = utf8.decode(header)
  } catch {
    return undefined
  }
  return isTenant(text) ? text : undefined
}

/** No control characters: it becomes a label, a key of a record and a word in a log. */
function isTenant(text: string): boolean {
  return text.length > 0 && text.length <= tenantCharsMax && !/\p{Cc}/u.test(text)
}

const brace = 0x7b

/** No protobuf of OTLP begins with a brace: it would be a group of field 15. */
export function isJsonMessage(value: Uint8Array, encoding: KafkaSourceConfig['encoding']): boolean {
  return encoding === 'auto' ? value[0] === brace : encoding === 'otlp_json'
}
