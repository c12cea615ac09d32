// biome-ignore lint/correctness/noUnresolvedImports: CommonJS, whose exports Node gives as the default.
import kafkajs from 'kafkajs'

export type { Admin, Kafka as KafkaJs, KafkaConfig, SASLOptions } from 'kafkajs'

/** All of kafkajs' public surface that is used. Its private part is declared in `kafka-client.ts`. */
export const { AssignerProtocol, ConfigResourceTypes, Kafka, logLevel } = kafkajs
