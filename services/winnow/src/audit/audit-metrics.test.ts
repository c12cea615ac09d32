import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { expect, onTestFinished, test } from 'vitest'

const guide = readFileSync(resolve(import.meta.dirname, '../../../../docs/operations.md'), 'utf8')
const line = guide.split('\n').find(one => one.includes('winnow audit --metrics >'))

test.each([
  ['0', 'figures', 'figures'],
  ['1', 'figures with findings', 'figures with findings'],
  ['1', '', 'the last ones'],
  ['2', '', 'the last ones'],
  ['3', '', 'the last ones'],
  ['137', 'half of', 'the last ones'],
])(
  'the documented line leaves the last figures where an audit has none: status %s, "%s"',
  (status, printed, left) => {
    const folder = mkdtempSync(join(tmpdir(), 'winnow-figures-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'winnow.prom')
    writeFileSync(file, 'the last ones')
    const stub = `#!/bin/sh\nprintf '%s' '${printed}'\nexit ${status}\n`
    writeFileSync(join(folder, 'winnow'), stub, { mode: 0o755 })
    const command = line?.replaceAll('/var/lib/node_exporter/winnow.prom', file) ?? 'exit 9'
    const { error } = spawnSync('sh', ['-c', command], {
      env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
    })
    expect(error).toBeUndefined()
    expect(readFileSync(file, 'utf8')).toBe(left)
  },
)
