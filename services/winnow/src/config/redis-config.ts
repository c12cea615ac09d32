import { bytesKey, durationKey } from '@winnow/runtime'
import { isRedisAddress, type RedisAccess, redisAddressForms } from '@winnow/storage'
import { z } from 'zod'
import { readTlsFiles } from '../read-key-file.ts'

/** `buffer`: what keeps the bytes of open traces near. */
export const bufferKey = z
  .string()
  // A password would be shown wherever the address is: it has a key of its own.
  .refine(text => text === 'none' || isRedisAddress(text), {
    error: `use none, ${redisAddressForms}; a password goes into redis.password`,
  })
  .default('none')

/** How the Redis that `buffer` names is used. */
export const redisConfigSchema = z
  .strictObject({
    username: z.string().optional(),
    password: z.string().optional(),
    /** Of the sentinels, where they want one. */
    sentinelUsername: z.string().optional(),
    sentinelPassword: z.string().optional(),
    tls: z.boolean().default(false),
    caFile: z.string().optional(),
    certFile: z.string().optional(),
    keyFile: z.string().optional(),
    /** How long a record stays: a trace's life, `assembler.quiet`, its decision and its writing. */
    recordLife: durationKey('30s').refine(ms => ms >= 1_000 && ms <= 86_400_000, {
      error: 'give 1s to 24h',
    }),
    /** What one process may have there; over it records are left out, and read from the bus. */
    bytesMax: bytesKey('1GiB'),
    /** After so long the bus is asked instead. */
    answerWait: durationKey('500ms').refine(ms => ms >= 1 && ms <= 60_000, {
      error: 'give 1ms to 60s',
    }),
  })
  .prefault({})

/** Who this program is to the Redis that `buffer` names; reads the files that the keys name. */
export function redisAccess({
  redis,
}: {
  readonly redis: z.infer<typeof redisConfigSchema>
}): RedisAccess {
  const { username, password, sentinelUsername, sentinelPassword } = redis
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(redis.tls && { tls: readTlsFiles('redis', redis) }),
  }
}
