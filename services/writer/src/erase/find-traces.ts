import type { Bus } from '@winnow/bus'
import { decodeTenantRuns } from '@winnow/model'
import { type AnyValue, decodeTraces, type KeyValue, type TracesData } from '@winnow/otlp'
import type { ColdHasher } from '@winnow/privacy'
import { PipelineError, type StageClock } from '@winnow/runtime'
import {
  type BlobStore,
  findInHold,
  findInLedger,
  findInSegment,
  listHolds,
  listSegments,
} from '@winnow/storage'
import { isDamaged, patiently } from './patiently.ts'

export interface FindOptions {
  readonly bus: Bus
  /** Full name of the topic. */
  readonly spans: string
  readonly blobs: BlobStore
  readonly tenant: string
  readonly field: string
  readonly tokens: readonly string[]
  readonly hasher: ColdHasher
  readonly onLooked: () => Promise<void>
  /** Of a segment that cannot be read: whether it has such a trace is not known. */
  readonly onAside: (key: string, error: unknown) => void
  readonly clock: StageClock
  readonly ended: AbortSignal
}

const readBytesMax = 4 * 1024 * 1024

/**
 * Every trace of a tenant that has the attribute with a value that one of `tokens` stands for: on the bus, open,
 * kept or dropped; in the ledger, kept or dropped, where a rule asked for the attribute; in warm, where the value
 * is in the clear; in cold, where it is the token. Hot has nothing that was never on the bus and in cold. A value is never compared itself: nobody has to keep it for that.
 */
export async function findTraces(options: FindOptions): Promise<Set<string>> {
  const found = new Set<string>()
  await findOnBus(options, found)
  const { blobs, tenant, clock, ended } = options
  // What a hold keeps may be in no tier any more.
  const places = [
    ...(['ledger', 'warm', 'cold'] as const).map(tier => listSegments(blobs, tier)),
    listHolds(blobs, tenant),
  ]
  for (const objects of places) {
    for await (const { key } of objects) {
      if (ended.aborted) break
      try {
        const own = await patiently(clock, ended, () => findInObject(options, key))
        for (const one of own) found.add(one)
      } catch (error) {
        if (!isDamaged(error)) throw error
        options.onAside(key, error)
      }
      await options.onLooked()
    }
  }
  return found
}

/** The same of one segment or hold. */
export function findInObject(
  {
    blobs,
    tenant,
    field,
    tokens,
    hasher,
  }: Pick<FindOptions, 'blobs' | 'tenant' | 'field' | 'tokens' | 'hasher'>,
  key: string,
): Promise<Set<string>> {
  const folder = key.slice(0, key.indexOf('/'))
  const find = folder === 'holds' ? findInHold : folder === 'ledger' ? findInLedger : findInSegment
  const isWanted = (text: string): boolean =>
    tokens.includes(text) || tokens.includes(hasher.token(text))
  return find(blobs, key, tenant, field, isWanted)
}

async function findOnBus(options: FindOptions, found: Set<string>): Promise<void> {
  const { bus, spans, ended } = options
  const partitions = await bus.partitionCount(spans)
  for (let partition = 0; partition < partitions; partition++) {
    const { first, end } = await bus.bounds(spans, partition)
    for (let next = first; next < end && !ended.aborted; ) {
      const { records, gap } = await bus.read(spans, partition, next, readBytesMax, 1_000)
      for (const { header, value } of records) findInRecord(options, header, value, found)
      const last = records.at(-1)
      if (last === undefined && gap === undefined) {
        throw new PipelineError(
          'BUS_UNAVAILABLE',
          `${spans}/${partition} brings nothing from ${next}`,
        )
      }
      next = last === undefined ? (gap?.to ?? end) : last.offset + 1
      await options.onLooked()
    }
  }
}

function findInRecord(
  { tenant, field, tokens, hasher }: FindOptions,
  header: Uint8Array | undefined,
  record: Uint8Array,
  found: Set<string>,
): void {
  const runs = header === undefined ? undefined : decodeTenantRuns(header)
  for (const run of runs ?? []) {
    if (run.tenant !== tenant) continue
    const bytes = Buffer.from(record.buffer, record.byteOffset + run.start, run.length)
    // Most records have no such key, and decoding is what costs.
    if (!bytes.includes(field)) continue
    let data: TracesData
    try {
      data = decodeTraces(bytes, key => key !== field)
    } catch (error) {
      // What no writer can decode is in no store either.
      if (error instanceof PipelineError) continue
      throw error
    }
    const has = (attributes: readonly KeyValue[]): boolean =>
      attributes.some(
        ({ key, value }) =>
          key === field && textsOf(value).some(text => tokens.includes(hasher.token(text))),
      )
    for (const { resource, scopeSpans } of data.resourceSpans) {
      const isAll = has(resource.attributes)
      for (const { scope, spans } of scopeSpans) {
        const isScope = isAll || has(scope.attributes)
        for (const { traceId, attributes, events, links } of spans) {
          const isIn =
            isScope || has(attributes) || [...events, ...links].some(one => has(one.attributes))
          if (isIn) found.add(traceId)
        }
      }
    }
  }
}

/** As cold hashes them: a whole number by its digits, bytes by their base64. */
function textsOf(value: AnyValue): string[] {
  if ('stringValue' in value) return [value.stringValue]
  if ('intValue' in value) return [String(value.intValue)]
  if ('bytesValue' in value) return [Buffer.from(value.bytesValue).toString('base64')]
  if ('doubleValue' in value) return [String(value.doubleValue)]
  if ('boolValue' in value) return [String(value.boolValue)]
  if ('arrayValue' in value) return value.arrayValue.values.flatMap(textsOf)
  if ('kvlistValue' in value) return value.kvlistValue.values.flatMap(one => textsOf(one.value))
  return []
}
