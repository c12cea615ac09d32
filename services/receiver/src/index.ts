export { type ReceiverConfig, receiverConfigSchema } from './config.ts'
export { createReceiver, type Receiver, type ReceiverOptions } from './receiver.ts'
