import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { makeFolder } from './make-folder.ts'

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-folder-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

test('a folder is made with what is missing above it, and may be there already', () => {
  const folder = join(scratch(), 'a/b/c')
  makeFolder(folder)
  makeFolder(folder)
  expect(statSync(folder).isDirectory()).toBe(true)
})

test('a file in its place, or above it, is CONFIG_INVALID and named', () => {
  const file = join(scratch(), 'file')
  writeFileSync(file, '')
  for (const folder of [file, join(file, 'data')]) {
    expect(() => makeFolder(folder)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    expect(() => makeFolder(folder)).toThrow(folder)
  }
})

test.runIf(process.platform === 'linux')(
  'where no folder can be, it ends instead of trying',
  () => {
    expect(() => makeFolder('/proc/winnow/data')).toThrow(/data \/proc\/winnow\/data: .*--data/)
  },
)
