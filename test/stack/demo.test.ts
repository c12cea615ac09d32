import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { refuse } from './refuse.ts'

const demo = resolve(import.meta.dirname, '../demo.ts')

/** What the demo exits with where no broker can be had; it has said what is missing. */
const noBroker = 2

test('npm run demo -- --exit --kafka: 48f kept, its twin dropped, one rescued, through a real broker', async ({
  skip,
}) => {
  const run = promisify(execFile)(process.execPath, [demo, '--exit', '--kafka'], {
    maxBuffer: 1 << 24,
  })
  const { stdout } = await run.catch((error: { code: number; stderr: string; stdout: string }) =>
    error.code === noBroker ? refuse(skip, error.stderr) : Promise.reject(error),
  )
  expect(stdout).toMatch(/of 2002 traces kept \(1\d\.\d %\)/)
  expect(stdout).toMatch(/KEPT {2}48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f/)
  expect(stdout).toContain('1 of 2 claims supported, 1 unsupported')
  expect(stdout).toMatch(/DROPPED {2}7e1c5a90d3b84f6ea12e0a1b3c4d5e6f/)
  expect(stdout).toMatch(/csat [12] by survey: rescued/)
})
