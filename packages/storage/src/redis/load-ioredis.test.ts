import { execFile } from 'node:child_process'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const loader = pathToFileURL(`${import.meta.dirname}/load-ioredis.ts`).href

/** What V8 says of `String.prototype` after `statement`, in a process of its own. */
async function hasFastStrings(statement: string): Promise<boolean> {
  const code = `${statement}; console.log(%HasFastProperties(String.prototype))`
  const args = ['--allow-natives-syntax', '--input-type=module', '--eval', code]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: import.meta.dirname,
  })
  return JSON.parse(stdout) as boolean
}

test('methods of strings stay fast where ioredis is loaded', async () => {
  expect(
    await hasFastStrings(`const { loadIoredis } = await import('${loader}'); await loadIoredis()`),
  ).toBe(true)
})

test('by itself ioredis makes them slow: once it does not, the loader is not needed', async () => {
  expect(await hasFastStrings(`await import('ioredis')`)).toBe(false)
})
