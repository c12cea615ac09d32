// biome-ignore lint/correctness/noUnresolvedImports: CommonJS, whose exports Node gives as the default.
import kafkajs from 'kafkajs'

export type { Admin, Kafka as KafkaJs, KafkaConfig, Producer, SASLOptions } from 'kafkajs'

/** All of kafkajs' public surface that is used. Its private part is declared in `kafka-client.ts`. */
export const {
  AssignerProtocol,
  CompressionCodecs,
  CompressionTypes,
  ConfigResourceTypes,
  Kafka,
  logLevel,
  Partitioners,
} = kafkajs
