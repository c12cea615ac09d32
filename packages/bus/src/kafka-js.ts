import { createRequire } from 'node:module'

export type { Admin, Kafka as KafkaJs, KafkaConfig, SASLOptions } from 'kafkajs'

type Public = Pick<
  typeof import('kafkajs'),
  'AssignerProtocol' | 'ConfigResourceTypes' | 'Kafka' | 'logLevel'
>

const load = createRequire(import.meta.url)

/**
 * All of kafkajs' public surface that is used. It is loaded at the first call: 140 modules that a process on files,
 * each of its threads, and most commands do without.
 */
export function kafkaJs(): Public {
  return load('kafkajs')
}

/** A module of its private part, which whoever asks declares, as `network/requestQueue`. */
export function kafkaJsPart<T>(path: string): T {
  return load(`kafkajs/src/${path}`)
}
