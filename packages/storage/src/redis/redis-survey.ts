import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { PipelineError } from '@winnow/runtime'
import { parseRedisAddress } from './redis-address.ts'
import { type RedisAccess, type RedisClient, redisClient } from './redis-client.ts'
import { redisTrouble } from './redis-errors.ts'
import { redisLimits } from './redis-limits.ts'

export interface RedisSurvey {
  readonly version: string
  readonly latencyMs: number
  readonly usedBytes: number
  /** 0: the machine's own. */
  readonly memoryBytesMax: number
  /** What it does when it is full, as `noeviction`. */
  readonly policy: string
  /** Its clock, and ours before the question and after the answer. Unix milliseconds. */
  readonly time: {
    readonly serverMs: number
    readonly askedMs: number
    readonly answeredMs: number
  }
}

/** Long enough to be read again, and gone by itself where deleting is not allowed. */
const probeLifeMs = 10_000

/**
 * What the server that `address` names is, and whether this user may do there what a trace buffer does:
 * a value of its own is put, read in part, and expires. CONFIG_INVALID where it refuses,
 * STORE_UNAVAILABLE where nobody answers; with the reason and the remedy.
 */
export async function surveyRedis(
  options: RedisAccess & { readonly address: string; readonly nowMs: () => number },
): Promise<RedisSurvey> {
  const address = parseRedisAddress(options.address)
  const client = await redisClient(address, options, redisLimits)
  // The last error says more than that there is no connection.
  let failure: unknown
  client.on('error', error => {
    failure = error
  })
  try {
    await connected(client, () => failure)
    return await look(client, options.nowMs)
  } catch (error) {
    const { leftOut, reason, remedy } = redisTrouble(failure ?? error)
    const code = leftOut === 'refused' ? 'CONFIG_INVALID' : 'STORE_UNAVAILABLE'
    throw new PipelineError(code, `buffer ${options.address}: ${reason}; ${remedy}`, {
      cause: error,
    })
  } finally {
    client.disconnect()
  }
}

/** A client connects again and again; here its first error is the answer. */
function connected(client: RedisClient, failure: () => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(failure() ?? new Error('no answer')),
      2 * redisLimits.connectWaitMs,
    )
    client.once('ready', () => {
      clearTimeout(late)
      resolve()
    })
    client.once('error', error => {
      clearTimeout(late)
      reject(error)
    })
    client.connect().catch(error => {
      clearTimeout(late)
      reject(failure() ?? error)
    })
  })
}

async function look(client: RedisClient, nowMs: () => number): Promise<RedisSurvey> {
  const startedAt = performance.now()
  await client.ping()
  const latencyMs = performance.now() - startedAt
  const key = `winnow:{doctor}:${randomUUID()}`
  await client.set(key, 'winnow doctor', 'PX', probeLifeMs)
  const part = await client.getrange(key, 0, 5)
  if (part !== 'winnow') throw new Error('what was put is not what is read')
  const info = await client.info()
  const askedMs = nowMs()
  const server = await serverTime(client)
  const field = (name: string): string =>
    new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? ''
  return {
    version: field('redis_version'),
    latencyMs,
    usedBytes: Number(field('used_memory')),
    memoryBytesMax: Number(field('maxmemory')),
    policy: field('maxmemory_policy'),
    time: { serverMs: server ?? askedMs, askedMs, answeredMs: nowMs() },
  }
}

/** Undefined for a user that may not ask: a trace buffer does not need the time. */
async function serverTime(client: RedisClient): Promise<number | undefined> {
  try {
    const [seconds, micros] = await client.time()
    return Number(seconds) * 1000 + Number(micros) / 1000
  } catch {
    return undefined
  }
}
