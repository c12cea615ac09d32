import { execFile } from 'node:child_process'
import { Socket } from 'node:net'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { loadIoredis } from './load-ioredis.ts'

const pathOf = (file: string): string => pathToFileURL(`${import.meta.dirname}/${file}`).href

/** What V8 says of `String.prototype` after `statement`, in a process of its own. */
async function hasFastStrings(statement: string): Promise<boolean> {
  const code = `${statement}; console.log(%HasFastProperties(String.prototype))`
  const args = ['--allow-natives-syntax', '--input-type=module', '--eval', code]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: import.meta.dirname,
  })
  return JSON.parse(stdout) as boolean
}

test('methods of strings stay fast where there is a client of Redis', async () => {
  expect(
    await hasFastStrings(`
      const { redisClient } = await import('${pathOf('redis-client.ts')}')
      const { redisLimits } = await import('${pathOf('redis-limits.ts')}')
      await redisClient({ kind: 'single', node: { host: '127.0.0.1', port: 1 } }, {}, redisLimits)`),
  ).toBe(true)
})

test('by itself ioredis makes them slow: once it does not, the loader is not needed', async () => {
  expect(await hasFastStrings(`await import('ioredis')`)).toBe(false)
})

const node = { host: '127.0.0.1', port: 1 }

test.each([
  ['of a server', node],
  ['behind sentinels', { sentinels: [node], name: 'main' }],
])('an error of a socket %s after its first one ends nothing', async (_, options) => {
  const { Redis } = await loadIoredis()
  const { connector } = new Redis({ ...options, lazyConnect: true }) as unknown as {
    connector: { stream: Socket }
  }
  const socket = new Socket()
  connector.stream = socket
  expect(connector.stream).toBe(socket)
  socket.emit('error', new Error('self-signed certificate in certificate chain'))
  socket.emit('error', new Error('tlsv1 alert decode error'))
})
