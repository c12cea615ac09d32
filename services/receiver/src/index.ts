export { type ReceiverConfig, receiverConfigSchema } from './config.ts'
export { type KafkaSourceConfig, kafkaSourceConfigSchema } from './kafka-source-config.ts'
export { createReceiver, type Receiver, type ReceiverOptions } from './receiver.ts'
