import { onTestFinished } from 'vitest'
import { missingForRedis, type StartRedisOptions, startRedis, type TestRedis } from '../redis.ts'
import { refuse } from '../refuse.ts'

/** A Redis for one test, ended with it; skips the test where none can be had. */
export async function redisForTest(
  skip: (note: string) => unknown,
  options: StartRedisOptions = { fresh: true },
): Promise<TestRedis> {
  const started = await startRedis(options)
  if (started.redis === undefined) return refuse(skip, started.why)
  const { redis } = started
  onTestFinished(() => redis.stop())
  return redis
}

/** For tests that start several servers themselves. */
export function needRedis(skip: (note: string) => unknown): void {
  const why = missingForRedis()
  if (why !== undefined) refuse(skip, why)
}
