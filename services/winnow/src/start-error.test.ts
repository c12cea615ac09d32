import { createServer } from 'node:net'
import { PipelineError } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { endText, isRefusedPath, startError } from './start-error.ts'

const config = {
  otlpGrpc: { host: '127.0.0.1', port: 4317 },
  otlpHttp: { host: '127.0.0.1', port: 4318 },
  api: { host: 'nowhere.invalid', port: 4300 },
  metrics: { host: '127.0.0.1', port: 9464 },
}

test('a port in use is named with its key, its address and its option', async () => {
  const first = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => {
    first.close()
  })
  await new Promise(resolve => first.once('listening', resolve))
  const { port } = first.address() as { port: number }
  const error = await new Promise(resolve =>
    createServer().listen(port, '127.0.0.1').once('error', resolve),
  )
  const told = startError(error, { ...config, otlpHttp: { host: '127.0.0.1', port } }) as Error
  expect(told).toMatchObject({ code: 'CONFIG_INVALID' })
  expect(told.message).toContain(`otlpHttp 127.0.0.1:${port} is in use`)
  expect(told.message).toContain('--otlp-http HOST:PORT')
  expect(told.message).not.toContain('metrics')
})

test('a name that nobody resolves is named by its key', () => {
  const error = { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'nowhere.invalid' }
  expect((startError(error, config) as Error).message).toContain(
    'api nowhere.invalid:4300 is a name',
  )
})

test('an error of anything else stays what it is', () => {
  const error = Object.assign(new Error('disk'), { code: 'EIO', syscall: 'read' })
  expect(startError(error, config)).toBe(error)
})

test('a log that ends before what was read of it is told with its remedy', () => {
  const ahead = new PipelineError('OFFSET_AHEAD', 'winnow.decisions.1/1 ends at 0, not 2')
  expect(endText(ahead)).toMatch(
    /ends at 0, not 2: the topic was deleted and made again.*start again/,
  )
  expect(endText(new PipelineError('CONFIG_INVALID', 'as it is'))).toBe('[CONFIG_INVALID] as it is')
  expect(endText('text')).toBe('text')
})

test('a path that the system refuses is told with what can be done', () => {
  const refused = { code: 'EACCES', syscall: 'open', path: '/data/bus' }
  const error = Object.assign(new Error("EACCES: permission denied, open '/data/bus'"), refused)
  expect(isRefusedPath(error)).toBe(true)
  expect(endText(error)).toBe(
    "EACCES: permission denied, open '/data/bus'; give this user the right to it, or name another path",
  )
  for (const other of [{ code: 'EIO' }, { path: undefined }, { syscall: undefined }]) {
    expect(isRefusedPath({ ...refused, ...other })).toBe(false)
  }
})
