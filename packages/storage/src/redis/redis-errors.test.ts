import { expect, test } from 'vitest'
import { redisTrouble } from './redis-errors.ts'

test('what a server or a network says has a reason for metrics and a remedy', () => {
  for (const [message, leftOut, remedy] of [
    ["OOM command not allowed when used memory > 'maxmemory'.", 'full', /maxmemory/],
    ['WRONGPASS invalid username-password pair or user is disabled.', 'refused', /redis.password/],
    ['NOAUTH Authentication required.', 'refused', /redis.password/],
    ["NOPERM this user has no permissions to run the 'set' command", 'refused', /\+set/],
    ["READONLY You can't write against a read only replica.", 'refused', /primary/],
    ['MOVED 866 127.0.0.1:7001', 'refused', /redis\+cluster/],
    ['ERR This instance has cluster support disabled', 'refused', /redis:\/\//],
    ['LOADING Redis is loading the dataset in memory', 'down', /will be ready/],
    ['CLUSTERDOWN The cluster is down', 'down', /will be ready/],
    ['self-signed certificate in certificate chain', 'down', /caFile/],
    ['All sentinels are unreachable. Retrying from scratch after 500ms.', 'down', /sentinels/],
    ['connect ECONNREFUSED 127.0.0.1:6379', 'down', /address of buffer/],
  ] as const) {
    const trouble = redisTrouble(new Error(message))
    expect([trouble.leftOut, trouble.reason], message).toEqual([leftOut, message])
    expect(trouble.remedy, message).toMatch(remedy)
  }
})

test('a failure of several tries at once is called by its code', () => {
  const error = Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' })
  expect(redisTrouble(error).reason).toBe('ECONNREFUSED')
})

test('a cluster that cannot be asked says what its last node said', () => {
  const lastNodeError = new Error('WRONGPASS invalid username-password pair')
  const error = Object.assign(new Error('Failed to refresh slots cache.'), { lastNodeError })
  expect(redisTrouble(error)).toMatchObject({ leftOut: 'refused', reason: lastNodeError.message })
})
