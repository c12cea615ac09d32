import { statusFromJson } from '@winnow/otlp'
import { apiKeysOf } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { shareSlackBytes } from './admission-share.ts'
import { post, requestJson, type Started, spanJson, startReceiver } from './receiver.fixture.ts'

let started: Started
afterEach(() => started.receiver.stop())

const keys = apiKeysOf({ a: 'acme', b: 'beta' })

test('while the writer lags, whoever made it lag is refused, and the other is neither refused nor held', async () => {
  let lag = 0
  // A hold of nearly an hour: no answer comes to whoever is held.
  started = await startReceiver({ lagHoldMax: '1h' }, { keys, lagging: () => lag })
  const send = (key: string, textBytes: number): Promise<Response> => {
    const attributes = [{ key: 'text', value: { stringValue: 'x'.repeat(textBytes) } }]
    const body = requestJson(...[0, 1, 2, 3].map(n => spanJson(n, { attributes })))
    return post(started, '/v1/traces', body, { 'x-api-key': key })
  }
  expect((await send('a', shareSlackBytes * 0.75)).status).toBe(200)
  lag = 0.99
  for (let n = 0; n < 5; n++) expect((await send('b', 1)).status).toBe(200)
  const refused = await send('a', 1)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1'])
  const { message, retryDelayMs } = statusFromJson(await refused.bytes())
  expect(message).toContain('more than its share')
  expect(retryDelayMs).toBe(1000)
  lag = 1
  expect((await send('b', 1)).status).toBe(429)
  lag = 0
  expect((await send('a', 1)).status).toBe(200)
})
