export type {
  Batch,
  Bus,
  BusRecord,
  Gap,
  Lease,
  Membership,
  NewRecord,
  Position,
  RangeRead,
  ReadMemory,
  RecordHead,
  ValueRange,
} from './bus.ts'
export { headerBytesMax, noteBytesMax, rangesMax } from './bus.ts'
export { FileBus, type FileBusOptions } from './file-bus.ts'
export type { LogEvent } from './file-bus-events.ts'
export type { FileBusLimits, FileLogLimits } from './file-bus-limits.ts'
export { type FolderSurvey, type LogSurvey, surveyFolder } from './file-survey.ts'
export { groupIdOf } from './group-id.ts'
export { KafkaBus } from './kafka-bus.ts'
export {
  defaultKafkaLimits,
  type KafkaBusEvent,
  type KafkaBusOptions,
  type KafkaLimits,
  type KafkaSasl,
} from './kafka-options.ts'
export { KafkaSource, type KafkaSourceOptions, sourceTopicSpec } from './kafka-source.ts'
export {
  type GroupSurvey,
  type KafkaRight,
  type KafkaSurvey,
  surveyKafka,
  type TopicDifference,
  type TopicSurvey,
  topicDifferences,
} from './kafka-survey.ts'
export { madeWith } from './kafka-topic-settings.ts'
export { MemoryBus } from './memory-bus.ts'
export { partitionOf, partitionOfHex } from './partition.ts'
export { positionsFileName, readPositions } from './position-store.ts'
export { reusedMemory } from './read-memory.ts'
export { ReadOnlyFileBus, type ReadOnlyFileBusOptions } from './read-only-file-bus.ts'
export { RemoteBus } from './remote-bus.ts'
export { type ServedBus, serveBus } from './serve-bus.ts'
export { type Source, type SourceLease, sourceOnBus } from './source.ts'
export { type TopicName, type TopicSpec, topicSpecs, topics } from './topics.ts'
