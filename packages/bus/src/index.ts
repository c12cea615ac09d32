export type { Batch, Bus, BusRecord, Gap, Lease, Membership, NewRecord, Position } from './bus.ts'
export { headerBytesMax, noteBytesMax } from './bus.ts'
export { partitionOf, partitionOfHex } from './partition.ts'
export { type TopicName, type TopicSpec, topicSpecs, topics } from './topics.ts'
