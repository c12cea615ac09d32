import { type StartKafkaOptions, startKafka, type TestKafka } from './kafka.ts'
import { startOpenSearch, type TestOpenSearch } from './opensearch.ts'
import { type StartRedisOptions, startRedis, type TestRedis } from './redis.ts'
import { startS3, type TestS3 } from './s3.ts'

/** All four servers that Winnow may stand on. Whoever started them ends them. */
export interface TestStack {
  readonly kafka: TestKafka
  readonly redis: TestRedis
  readonly opensearch: TestOpenSearch
  readonly s3: TestS3
  /** What makes `winnow` use them. */
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}

/**
 * Kafka, Redis, OpenSearch and S3, each as its own starter finds it. Undefined: one cannot be had here, and
 * `why` says what is missing; those that had been started are ended again.
 */
export async function startStack(
  options: Pick<StartKafkaOptions & StartRedisOptions, 'fresh' | 'maxmemory'> = {},
): Promise<{ readonly stack: TestStack } | { readonly stack?: undefined; readonly why: string }> {
  // Two JVMs at a time is what a small machine starts without either giving up.
  const [ofKafka, ofRedis, ofS3] = await Promise.all([
    startKafka(options),
    startRedis(options),
    startS3(options),
  ])
  const ofOpenSearch = await startOpenSearch(options)
  const kafka = ofKafka.server
  const redis = ofRedis.server
  const s3 = ofS3.server
  const opensearch = ofOpenSearch.server
  const stop = async (): Promise<void> => {
    for (const server of [s3, opensearch, redis, kafka]) await server?.stop()
  }
  if (kafka && redis && opensearch && s3) {
    return {
      stack: { kafka, redis, opensearch, s3, env: envOf(kafka, redis, opensearch, s3), stop },
    }
  }
  await stop()
  const missing = [ofKafka, ofRedis, ofS3, ofOpenSearch].flatMap(one =>
    'why' in one ? one.why : [],
  )
  return { why: missing.join('; ') }
}

function envOf(
  kafka: TestKafka,
  redis: TestRedis,
  opensearch: TestOpenSearch,
  s3: TestS3,
): TestStack['env'] {
  return {
    WINNOW_BUS: kafka.url,
    WINNOW_BUFFER: redis.url,
    WINNOW_HOT: opensearch.url,
    // One node: a copy of an index would have no place.
    WINNOW_OPENSEARCH_REPLICAS: '0',
    ...s3.env,
  }
}
