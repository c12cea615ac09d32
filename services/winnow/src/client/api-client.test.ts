import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { exitCode } from '../exit-codes.ts'
import { callApi, errorText } from './api-client.ts'

async function answering(status: number, body: string, cut = false): Promise<{ url: string }> {
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'content-length': cut ? body.length + 1 : body.length })
    response.write(body)
    if (cut) response.destroy()
    else response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const call = (options: { url: string; json?: boolean }) => callApi(options, 'GET', '/api/v1/search')

test('an answer of the API is the caller’s to judge, a refusal too', async () => {
  const body = '{"error":{"code":"TRACE_UNKNOWN","remedy":"check the id"}}'
  expect(await call(await answering(200, '{"traces":[]}'))).toMatchObject({ status: 200 })
  expect(await call(await answering(404, body))).toMatchObject({ status: 404 })
})

test('texts come such that a terminal may show them, with json as they are, in a refusal never', async () => {
  const traces = JSON.stringify({ traces: [{ service: 'a\u001b[2J\nKEPT' }] })
  const options = await answering(200, traces)
  expect((await call(options)).body).toEqual({ traces: [{ service: 'a\\x1b[2J\\nKEPT' }] })
  expect((await call({ ...options, json: true })).body).toEqual(JSON.parse(traces))
  const error = { code: 'TRACE_UNKNOWN', field: 'id', value: '\u001b', remedy: 'check it' }
  const refused = { ...(await answering(404, JSON.stringify({ error }))), json: true }
  expect(errorText((await call(refused)).body)).toBe('TRACE_UNKNOWN id "\\x1b": check it')
})

test('an address that is none is wrong use', async () => {
  for (const url of ['notaurl', 'ftp://127.0.0.1', ''])
    await expect(call({ url })).rejects.toMatchObject({ status: exitCode.usage })
})

test('what answers but is not the API counts as not reached, never as "no"', async () => {
  const others = [
    await answering(200, '<html>'),
    await answering(404, '{"error":{"code":"NOT_FOUND","remedy":"ask for /metrics"}}'),
    await answering(404, '{"code":12,"message":"use /v1/traces"}'),
    await answering(200, '{"traces":[', true),
  ]
  for (const options of others)
    await expect(call(options)).rejects.toMatchObject({ status: exitCode.unreachable })
})

test('a server in trouble counts as not reached, an unknown key as wrong use', async () => {
  const error = (code: string) => `{"error":{"code":"${code}","remedy":"try again"}}`
  const down = await answering(503, error('UNAVAILABLE'))
  await expect(call(down)).rejects.toMatchObject({ status: exitCode.unreachable })
  const stranger = await answering(401, error('UNAUTHENTICATED'))
  await expect(call(stranger)).rejects.toMatchObject({ status: exitCode.usage })
})

test('a request that is longer than the server takes is wrong use', async () => {
  for (const status of [414, 431]) {
    await expect(call(await answering(status, ''))).rejects.toMatchObject({
      status: exitCode.usage,
      message: `the request is longer than the server takes: shorten what was given (status ${status})`,
    })
  }
})

test('a key is one line of printable characters, and what ends the line is no part of it', async () => {
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.headers.authorization)
    response.end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const withKey = (key: string) => callApi({ url, key }, 'GET', '/')
  await withKey('wk_1\r\n')
  expect(asked).toEqual(['Bearer wk_1'])
  for (const key of ['', '  ', 'a\nb', 'a b', 'ä', 'a\u0000']) {
    await expect(withKey(key)).rejects.toMatchObject({ status: exitCode.usage })
  }
  await expect(withKey('')).rejects.toThrow(
    '--key is empty: give one line as `winnow keys new` said it',
  )
})
