import { execFile } from 'node:child_process'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

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
