import { afterEach, expect, test } from 'vitest'
import { type Started, startReceiver } from './receiver.fixture.ts'

let started: Started | undefined
afterEach(async () => {
  await started?.receiver.stop()
  started = undefined
})

test('smoke', async () => {
  started = await startReceiver()
  const { url, bus } = started
  const span = {
    traceId: '5B8EFFF798038103D269B633813FC60C',
    spanId: 'EEE19B7EC3C1B174',
    name: 'I am a span',
    kind: 2,
  }
  const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] })
  const response = await fetch(`${url}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  expect(response.status).toBe(200)
  expect(await response.text()).toBe('{}')
  expect(await bus.spans()).toHaveLength(1)
})
