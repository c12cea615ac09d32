import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import type { TestS3 } from '../s3.ts'
import { startNativeS3 } from './native.ts'

const version = '1.8.0'
const folder = join(import.meta.dirname, '..', '.cache', `versitygw-${version}`)
const program = join(folder, 'versitygw')

/** What this machine lacks for a versitygw; undefined when it lacks nothing. */
export function missingForVersitygw(): string | undefined {
  if (existsSync(program) || spawnSync('go', ['version']).status === 0) return undefined
  return 'no `go` (1.26 or newer) to build versitygw with'
}

/** versitygw, built once in a minute or two, on files: a killed one leaves no object torn. No lifecycle rules. */
export function startVersitygw(): Promise<TestS3> {
  build()
  return startNativeS3('versitygw', ({ data, port, accessKeyId, secretAccessKey }) => [
    program,
    ...['--access', accessKeyId, '--secret', secretAccessKey, '--port', `127.0.0.1:${port}`],
    ...['posix', data],
  ])
}

/** Built beside and renamed, so that an interrupted build is not taken for a whole one. */
function build(): void {
  if (existsSync(program)) return
  const target = `${folder}.${process.pid}`
  mkdirSync(target, { recursive: true })
  execFileSync('go', ['install', `github.com/versity/versitygw/cmd/versitygw@v${version}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, GOBIN: target },
  })
  renameSync(target, folder)
}
