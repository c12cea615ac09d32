import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { exitCode } from '../exit-codes.ts'
import { holdCommand, untilOf } from './hold-command.ts'
import { holdText } from './hold-text.ts'

const traceId = '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f'
const hold = {
  id: '5c1e09b2f3a47d68',
  traceId,
  level: 'full',
  since: null,
  spans: 8,
  complete: true,
  reason: 'claim 4481',
  by: 'Ann Lee',
  key: 'console',
  madeAt: '2026-11-21T12:00:00.000Z',
  until: '2027-01-31T23:59:59.000Z',
} as const

/** The API with one answer to everything; resolves with where it is and what it is asked. */
async function answering(status: number, body: unknown) {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    response.writeHead(status).end(JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

test('so many days are those of the day they end on, so that a second try that day is the same hold', () => {
  expect(untilOf('90d', Date.UTC(2026, 10, 21, 1))).toBe('2027-02-19')
  expect(untilOf('90d', Date.UTC(2026, 10, 21, 23))).toBe('2027-02-19')
  expect(untilOf('2027-01-31', 0)).toBe('2027-01-31')
})

test('a hold says of which trace it has what, for whom and until when', () => {
  expect(holdText(hold)).toBe(
    [
      'hold 5c1e09b2f3a47d68  until 2027-01-31T23:59:59.000Z',
      `  trace    ${traceId}`,
      '  holds    full, with its text; 8 spans',
      '  by       Ann Lee, at 2026-11-21T12:00:00.000Z, with key console',
      '  because  claim 4481',
      '',
    ].join('\n'),
  )
  const { key: _key, ...nameless } = hold
  const hidden = holdText({ ...nameless, level: 'hashed', complete: false, reason: null, by: null })
  expect(hidden).toContain('keyed hashes of its strings; 8 spans, not all that were stored')
  expect(hidden).toContain('  by       (for keys with the scope content or admin), at')
  expect(hidden).toContain('  because  (for keys with the scope content)')
})

test('without reason, person or end nobody is asked, and the line says what is missing', async () => {
  const { url, requests } = await answering(201, hold)
  const whole = { reason: 'claim', by: 'Ann', until: '90d', url }
  for (const lacking of ['reason', 'by', 'until']) {
    await expect(
      holdCommand(traceId, undefined, { ...whole, [lacking]: undefined }),
    ).rejects.toMatchObject({
      status: exitCode.usage,
      message: expect.stringContaining(`--${lacking}`),
    })
  }
  for (const args of [
    [traceId, 'more'],
    ['list', 'x'],
    ['end', undefined],
  ] as const) {
    await expect(holdCommand(args[0], args[1], whole)).rejects.toMatchObject({
      status: exitCode.usage,
    })
  }
  expect(requests).toEqual([])
})

test('it is made, listed and ended by the calls of the API', async () => {
  const { url, requests } = await answering(200, { ...hold, holds: [hold] })
  await holdCommand(traceId, undefined, { reason: 'claim', by: 'Ann', until: '90d', url })
  await holdCommand('list', undefined, { trace: traceId, json: true, url })
  await holdCommand('end', hold.id, { url })
  expect(requests).toEqual([
    'POST /api/v1/holds',
    `GET /api/v1/holds?trace=${traceId}`,
    `DELETE /api/v1/holds/${hold.id}`,
  ])
})

test('what is not there to be held is a no, with the remedy', async () => {
  const error = { code: 'TRACE_EXPIRED', field: 'traceId', remedy: 'every tier’s time is over' }
  const { url } = await answering(410, { error })
  const asked = holdCommand(traceId, undefined, { reason: 'claim', by: 'Ann', until: '90d', url })
  await expect(asked).rejects.toMatchObject({
    status: exitCode.no,
    message: expect.stringContaining('every tier’s time is over'),
  })
})
