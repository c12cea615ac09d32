import { missingForRedis, type StartRedisOptions, startRedis, type TestRedis } from '../redis.ts'
import { refuse } from '../refuse.ts'
import { forTest } from '../shared-server.ts'

/** A Redis for one test, ended with it; skips the test where none can be had. */
export async function redisForTest(
  skip: (note: string) => unknown,
  options: StartRedisOptions = { fresh: true },
): Promise<TestRedis> {
  return forTest(skip, await startRedis(options))
}

/** For tests that start several servers themselves. */
export function needRedis(skip: (note: string) => unknown): void {
  const why = missingForRedis()
  if (why !== undefined) refuse(skip, why)
}
