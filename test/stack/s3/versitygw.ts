import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { cache, cachedFolder, run } from '../cached-folder.ts'
import type { TestS3 } from '../s3.ts'
import { startNativeS3 } from './native.ts'

const version = '1.8.0'
const name = `versitygw-${version}`
const program = join(cache, name, 'versitygw')

/** What this machine lacks for a versitygw; undefined when it lacks nothing. */
export function missingForVersitygw(): string | undefined {
  if (existsSync(program) || spawnSync('go', ['version']).status === 0) return undefined
  return 'no `go` (1.26 or newer) to build versitygw with'
}

/** versitygw, built once in a minute or two, on files: a killed one leaves no object torn. No lifecycle rules. */
export async function startVersitygw(): Promise<TestS3> {
  const module = `github.com/versity/versitygw/cmd/versitygw@v${version}`
  await cachedFolder(name, target =>
    run('go', ['install', module], { env: { ...process.env, GOBIN: target } }),
  )
  return startNativeS3('versitygw', ({ data, port, accessKeyId, secretAccessKey }) => [
    program,
    ...['--access', accessKeyId, '--secret', secretAccessKey, '--port', `127.0.0.1:${port}`],
    ...['posix', data],
  ])
}
