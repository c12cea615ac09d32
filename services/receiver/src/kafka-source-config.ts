import { bytesKey, durationKey } from '@winnow/runtime'
import { z } from 'zod'

/** `kafkaSource`: OTLP that others have written to topics of theirs. Without topics there is none. */
export const kafkaSourceConfigSchema = z
  .strictObject({
    topics: z
      .array(z.string().regex(/^[a-zA-Z0-9._-]{1,249}$/, 'is no name of a Kafka topic'), {
        error: 'use a list, as [otlp_spans]',
      })
      .max(100)
      .default([]),
    /** `HOST:PORT[,HOST:PORT…]`; absent: those of the bus, by the keys of `kafka`. */
    brokers: z
      .string()
      .regex(/^[^@]+$/, 'use HOST:PORT[,…]; who logs in is saslUsername and saslPassword')
      .optional(),
    /** Kafka knows it as `<topic>.<group>`. */
    group: z
      .string()
      .regex(/^[a-zA-Z0-9._-]{1,100}$/)
      .default('winnow'),
    /** `auto`: what begins with a brace is JSON. */
    encoding: z.enum(['auto', 'otlp_proto', 'otlp_json']).default('auto'),
    /** Of every message, or of those without `tenantHeader`. */
    tenant: z.string().min(1).max(64).optional(),
    /** The Kafka header that names the tenant of a message. */
    tenantHeader: z.string().min(1).max(200).optional(),
    /** Where a group without a position begins. */
    startFrom: z.enum(['earliest', 'latest']).default('earliest'),
    /** Messages that are inflated and not yet on the bus, over all partitions; over it by one batch of a producer. */
    inflightBytesMax: bytesKey('32MiB'),
    /** Compressed, asked of a partition at once; one batch is taken whole. */
    readBytesMax: bytesKey('1MiB'),
    /** Between two attempts at what was refused for now. */
    retryDelay: durationKey('1s'),
    tls: z.boolean().default(false),
    caFile: z.string().optional(),
    certFile: z.string().optional(),
    keyFile: z.string().optional(),
    saslMechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
    saslUsername: z.string().optional(),
    saslPassword: z.string().optional(),
  })
  .prefault({})

export type KafkaSourceConfig = z.infer<typeof kafkaSourceConfigSchema>
