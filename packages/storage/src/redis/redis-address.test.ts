import { expect, test } from 'vitest'
import { parseRedisAddress } from './redis-address.ts'

test('one server, sentinels with the name of a primary, or nodes of a cluster', () => {
  const a = { host: 'a', port: 1 }
  const b = { host: '::1', port: 65_535 }
  expect(parseRedisAddress('redis://a:1')).toEqual({ kind: 'single', node: a })
  expect(parseRedisAddress('redis+sentinel://a:1,[::1]:65535/the.one')).toEqual({
    kind: 'sentinel',
    nodes: [a, b],
    name: 'the.one',
  })
  expect(parseRedisAddress('redis+cluster://a:1,[::1]:65535')).toEqual({
    kind: 'cluster',
    nodes: [a, b],
  })
})

test('anything else is refused without being repeated', () => {
  for (const text of [
    '',
    'redis://',
    'redis://a',
    'redis://a:x',
    'redis://:1',
    'redis://a:1,',
    'redis://a:1/1',
    'redis+cluster://a:1,:2',
    'redis+sentinel://a:1/',
    'http://a:1',
    'redis://user:geheim@a:1',
  ]) {
    expect(() => parseRedisAddress(text), text).toThrow(/buffer: use redis:\/\/HOST:PORT/)
    expect(() => parseRedisAddress(text), text).not.toThrow(/geheim/)
  }
})
