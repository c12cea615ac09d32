import { bytesKey, durationKey } from '@winnow/runtime'
import type { OpenSearchHotStoreOptions } from '@winnow/storage'
import { z } from 'zod'
import { readTlsFiles } from '../read-key-file.ts'

/** What `hot` may be. Credentials are keys of their own: an address is shown in errors and logs. */
export const hotKey = z
  .string()
  .regex(/^(sqlite|http:\/\/[^/@,]+(,http:\/\/[^/@,]+)*|https:\/\/[^/@,]+(,https:\/\/[^/@,]+)*)$/, {
    error:
      'use sqlite, or the addresses of OpenSearch as http://HOST:PORT[,http://HOST:PORT…], or https; user and password are opensearch.username and opensearch.password',
  })
  .default('sqlite')

/** `opensearch`, where `hot` is an address. */
export const opensearchConfigSchema = z
  .strictObject({
    username: z.string().min(1).optional(),
    password: z.string().optional(),
    /** Who signed the server's certificate, where the system does not know it. */
    caFile: z.string().min(1).optional(),
    /** A certificate of our own, where the server asks for one. */
    certFile: z.string().min(1).optional(),
    keyFile: z.string().min(1).optional(),
    /** All indices and templates begin with it. */
    indexPrefix: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, {
        error: 'use lower-case letters, digits, dot, minus and underscore, at most 100',
      })
      .default('winnow'),
    /** Of an index that is made from now on. */
    shards: z.int().min(1).max(1024).default(1),
    /** Copies beside the first; 0 where there is one node. */
    replicas: z.int().min(0).max(10).default(1),
    requestTimeout: durationKey('30s'),
    /** Of one bulk request; below the server's http.max_content_length. */
    bulkBytes: bytesKey('8MiB'),
    /** Bulk requests at the same time. */
    bulksInFlight: z.int().min(1).max(64).default(2),
  })
  .refine(({ username, password }) => (username === undefined) === (password === undefined), {
    error: 'give username and password together, or neither',
  })
  .prefault({})

/** As the store takes them; reads the files that the keys name. */
export function opensearchOptions(config: {
  readonly hot: string
  readonly opensearch: z.infer<typeof opensearchConfigSchema>
}): Omit<OpenSearchHotStoreOptions, 'mayWrite'> {
  const keys = config.opensearch
  return {
    nodes: config.hot.split(','),
    username: keys.username,
    password: keys.password,
    tls: readTlsFiles('opensearch', keys),
    requestTimeoutMs: keys.requestTimeout,
    indexPrefix: keys.indexPrefix,
    shards: keys.shards,
    replicas: keys.replicas,
    bulkBytesMax: keys.bulkBytes,
    putsInFlightMax: keys.bulksInFlight,
  }
}
