import type { EncodedBatch } from './kafka-batches.ts'
import { WireReader, WireWriter } from './kafka-wire.ts'

/**
 * A request that kafkajs' connection sends for us. kafkajs frames `encode()` (of which it reads only
 * `buf` and `buffer`) with the header of the non-flexible versions and hands the answer to `decode`.
 */
export interface RawRequest<T> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
  }
  readonly response: { decode(answer: Buffer): Promise<T>; parse(decoded: T): Promise<T> }
}

function rawRequest<T>(
  api: { readonly apiKey: number; readonly apiVersion: number; readonly apiName: string },
  body: Buffer,
  decode: (reader: WireReader) => T,
): RawRequest<T> {
  return {
    request: { ...api, encode: async () => ({ buf: body, buffer: body }) },
    response: {
      decode: async answer => decode(new WireReader(answer)),
      parse: async decoded => decoded,
    },
  }
}

export interface TopicMetadata {
  readonly name: string
  readonly errorCode: number
  /** The topic's UUID as 32 hex digits: made with the topic, another one after it is made again. */
  readonly id: string
  readonly partitions: number
  /** Whether every partition has a leader to write to. */
  readonly led: boolean
  /** Brokers that hold a partition, the fewest of all. */
  readonly copies: number
  /** Operations this user may do with it, a bit each by Kafka's numbers; where they were asked for. */
  readonly rights: number
}

/** Metadata from version 12 on names topics' ids; kafkajs stops at version 6. */
export const metadataApi = { apiKey: 3, apiVersion: 12, apiName: 'Metadata' } as const

/** Unlike kafkajs' own, it reports a missing topic beside the others instead of failing for all. */
export function metadataRequest(
  topics: readonly string[],
  withRights = false,
): RawRequest<{
  readonly brokers: number
  readonly topics: readonly TopicMetadata[]
}> {
  const body = new WireWriter()
    .int8(0) // The request header's tagged fields, which kafkajs does not write.
    .compactLength(topics.length)
  for (const topic of topics) body.raw(Buffer.alloc(16)).compactString(topic).int8(0)
  // No automatic creation, authorized operations where they are asked for, no tagged fields.
  body
    .int8(0)
    .int8(withRights ? 1 : 0)
    .int8(0)
  return rawRequest(metadataApi, body.bytes(), reader => {
    reader.skipTags() // The response header's.
    reader.int32() // Throttle time.
    const brokers = reader.compactArray(() => readBroker(reader)).length
    reader.compactString() // Cluster id.
    reader.int32() // Controller.
    return { brokers, topics: reader.compactArray(() => readTopic(reader)) }
  })
}

function readBroker(reader: WireReader): void {
  reader.int32()
  reader.compactString()
  reader.int32()
  reader.compactString()
  reader.skipTags()
}

function readTopic(reader: WireReader): TopicMetadata {
  const errorCode = reader.int16()
  const name = reader.compactString()
  const id = reader.raw(16).toString('hex')
  reader.int8() // Internal.
  const partitions = reader.compactArray(() => {
    reader.int16()
    reader.int32()
    const leader = reader.int32()
    reader.int32()
    const copies = reader.compactArray(() => reader.int32()).length
    for (let list = 0; list < 2; list++) reader.compactArray(() => reader.int32())
    reader.skipTags()
    return { leader, copies }
  })
  const rights = reader.int32()
  reader.skipTags()
  return {
    name,
    errorCode,
    id,
    partitions: partitions.length,
    led: partitions.every(({ leader }) => leader >= 0),
    copies: Math.min(...partitions.map(one => one.copies)),
    rights,
  }
}

export interface GroupDescription {
  readonly errorCode: number
  /** Kafka's word, as `Stable`; `Dead` or `Empty` where nobody is in it. */
  readonly state: string
  readonly members: number
  /** As those of a topic. */
  readonly rights: number
}

/** DescribeGroups version 3, the first that tells what the asker may do with the group. */
export function describeGroupRequest(groupId: string): RawRequest<GroupDescription> {
  const api = { apiKey: 15, apiVersion: 3, apiName: 'DescribeGroups' }
  const body = new WireWriter().int32(1).string(groupId).int8(1)
  return rawRequest(api, body.bytes(), reader => {
    reader.int32() // Throttle time.
    const [group] = reader.array(() => readGroup(reader))
    return group ?? { errorCode: -1, state: '', members: 0, rights: 0 }
  })
}

function readGroup(reader: WireReader): GroupDescription {
  const errorCode = reader.int16()
  reader.string()
  const state = reader.string()
  for (let text = 0; text < 2; text++) reader.string()
  const members = reader.array(() => {
    for (let text = 0; text < 3; text++) reader.string()
    for (let bytes = 0; bytes < 2; bytes++) reader.raw(Math.max(0, reader.int32()))
  }).length
  return { errorCode, state, members, rights: reader.int32() }
}

/** A request in pieces that are written one after the other, so that large ones are not joined. */
export interface PiecedRequest<T> {
  readonly apiKey: number
  readonly apiVersion: number
  readonly apiName: string
  readonly pieces: readonly Buffer[]
  readonly decode: (answer: Buffer) => T
}

export interface ProducedPartition {
  readonly partition: number
  readonly errorCode: number
  /** The offset of the batch's first record. */
  readonly first: number
}

/** Produce version 7, the first that takes zstd, with answers from every replica in sync. */
export function produceRequest(
  topic: string,
  batches: readonly { readonly partition: number; readonly encoded: EncodedBatch }[],
  waitMs: number,
): PiecedRequest<readonly ProducedPartition[]> {
  let fields = new WireWriter()
    .int16(-1) // No transaction.
    .int16(-1) // All of them.
    .int32(waitMs)
    .int32(1)
    .string(topic)
    .int32(batches.length)
  const pieces: Buffer[] = []
  for (const { partition, encoded } of batches) {
    const { head, records } = encoded
    fields.int32(partition).int32(head.length + records.length)
    pieces.push(fields.raw(head).bytes(), records)
    fields = new WireWriter()
  }
  const api = { apiKey: 0, apiVersion: 7, apiName: 'Produce' }
  return { ...api, pieces, decode: answer => readProduced(new WireReader(answer)) }
}

function readProduced(reader: WireReader): readonly ProducedPartition[] {
  return reader
    .array(() => {
      reader.string()
      return reader.array(() => {
        const partition = reader.int32()
        const errorCode = reader.int16()
        const first = reader.int64()
        reader.int64() // The log's time of it.
        reader.int64() // Where the log starts.
        return { partition, errorCode, first }
      })
    })
    .flat()
}

export interface PartitionFetch {
  readonly partition: number
  readonly from: number
  /** Compressed; the broker returns one whole batch even if that is larger. */
  readonly bytesMax: number
}

export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  /** One after the last record that may be read: an empty answer below it was cut for size. */
  readonly end: number
  /** Record batches one after the other; the last one may be cut off. */
  readonly records: Buffer
}

/**
 * Fetch version 11, decoded here rather than by kafkajs: kafkajs fails the whole answer for one
 * partition's error, and decodes every record of every batch however few are wanted.
 */
export function fetchRequest(
  topic: string,
  partitions: readonly PartitionFetch[],
  waitMs: number,
  bytesMax: number,
): RawRequest<readonly FetchedPartition[]> {
  const body = new WireWriter()
    .int32(-1) // Not a replica.
    .int32(waitMs)
    .int32(1) // Answer as soon as there is a byte.
    .int32(bytesMax)
    .int8(0) // Nothing here writes in transactions, so a foreign open one must not hold readers up.
    .int32(0)
    .int32(-1) // No fetch session.
    .int32(1)
    .string(topic)
    .int32(partitions.length)
  for (const one of partitions) {
    body.int32(one.partition).int32(-1).int64(one.from).int64(-1).int32(one.bytesMax)
  }
  body.int32(0).string('')
  return rawRequest({ apiKey: 1, apiVersion: 11, apiName: 'Fetch' }, body.bytes(), reader => {
    reader.int32() // Throttle time.
    const errorCode = reader.int16()
    reader.int32()
    const answered = reader.array(() => {
      reader.string()
      return reader.array(() => readPartition(reader))
    })
    const found = answered.flat()
    return errorCode === 0 ? found : found.map(one => ({ ...one, errorCode }))
  })
}

function readPartition(reader: WireReader): FetchedPartition {
  const partition = reader.int32()
  const errorCode = reader.int16()
  const end = reader.int64()
  reader.int64()
  reader.int64()
  reader.array(() => {
    reader.int64()
    reader.int64()
  })
  reader.int32()
  return { partition, errorCode, end, records: reader.raw(Math.max(0, reader.int32())) }
}
