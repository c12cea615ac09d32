import type { LoadOptions } from './options.ts'
import { type Ground, ownGround } from './run.ts'
import { pidOfPort } from './usage.ts'

/** What `--stack` or `--kafka` asks for, and how to end what was started for it. */
export async function groundOf(
  options: LoadOptions,
): Promise<{ ground: Ground; stop: () => Promise<void> }> {
  if (options.stack) return onStack()
  if (options.kafka) return onKafka()
  return { ground: ownGround, stop: async () => {} }
}

async function onKafka(): Promise<{ ground: Ground; stop: () => Promise<void> }> {
  const { startKafka } = await import('../../stack/kafka.ts')
  const started = await startKafka()
  if (started.server === undefined) throw new Error(`no Kafka: ${started.why}`)
  const { url, stop } = started.server
  const serverPids = pidsOf({ Kafka: url })
  return { ground: { env: { WINNOW_BUS: url }, isFleet: false, serverPids }, stop }
}

/**
 * The writer falls behind by more than a minute, since OpenSearch has to share two cores with all that it is to
 * keep up with: what it has not written yet stays in Redis, as docs/operations.md says how to size one.
 */
const bufferForLag = { WINNOW_REDIS_RECORD_LIFE: '3min', WINNOW_REDIS_BYTES_MAX: '3GiB' }

async function onStack(): Promise<{ ground: Ground; stop: () => Promise<void> }> {
  const { startStack } = await import('../../stack/stack.ts')
  const started = await startStack({ fresh: true, maxmemory: '4gb' })
  if (started.stack === undefined) throw new Error(`no stack: ${started.why}`)
  const { env, kafka, redis, opensearch, s3, stop } = started.stack
  const servers = {
    Kafka: kafka.url,
    Redis: redis.url,
    OpenSearch: opensearch.url,
    S3: s3.endpoint,
  }
  const bufferBytes = (): Promise<number> => usedMemory(redis.url)
  const sized = { ...env, ...bufferForLag }
  return { ground: { env: sized, isFleet: true, serverPids: pidsOf(servers), bufferBytes }, stop }
}

/** What the Redis at `url` holds, its own bookkeeping included. */
async function usedMemory(url: string): Promise<number> {
  const { Redis } = await import('ioredis')
  const client = new Redis(url)
  const info = await client.info('memory')
  client.disconnect()
  return Number(/used_memory:(\d+)/.exec(info)?.[1])
}

/** Of those servers that listen on this machine, by their addresses. */
function pidsOf(urls: Readonly<Record<string, string>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(urls).flatMap(([name, url]) => {
      const pid = pidOfPort(Number(/:(\d+)/.exec(url.slice(url.lastIndexOf(':')))?.[1]))
      return pid === undefined ? [] : [[name, pid]]
    }),
  )
}
