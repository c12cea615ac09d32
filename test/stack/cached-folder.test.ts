import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { cache, cachedFolder } from './cached-folder.ts'

const module = join(import.meta.dirname, 'cached-folder.ts')

test('processes that need a folder at once make it once', async () => {
  const name = `test-${randomUUID()}`
  onTestFinished(() => rmSync(join(cache, name), { recursive: true, force: true }))
  const script = `
    import { appendFileSync } from 'node:fs'
    import { setTimeout as sleep } from 'node:timers/promises'
    import { cachedFolder } from ${JSON.stringify(module)}
    await cachedFolder(${JSON.stringify(name)}, async target => {
      await sleep(500)
      appendFileSync(target + '/made', 'once')
      console.log('made')
    })`
  const args = ['--input-type=module', '--eval', script]
  const both = [args, args].map(each => promisify(execFile)(process.execPath, each))
  const made = (await Promise.all(both)).map(({ stdout }) => stdout)
  expect(made.toSorted()).toEqual(['', 'made\n'])
  expect(readFileSync(join(cache, name, 'made'), 'utf8')).toBe('once')
})

test('a folder whose making failed is not there, and the next who needs it makes it', async () => {
  const name = `test-${randomUUID()}`
  onTestFinished(() => rmSync(join(cache, name), { recursive: true, force: true }))
  const failing = cachedFolder(name, () => Promise.reject(new Error('no answer')))
  await expect(failing).rejects.toThrow('no answer')
  expect(existsSync(join(cache, name))).toBe(false)
  await cachedFolder(name, async () => {})
  expect(existsSync(join(cache, name))).toBe(true)
})
