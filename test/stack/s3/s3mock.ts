import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cache, cachedFolder, maven } from '../cached-folder.ts'
import type { TestS3 } from '../s3.ts'
import { startNativeS3 } from './native.ts'

const version = '5.2.0'
const name = `s3mock-${version}`
const jvm = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

/** What this machine lacks for an S3Mock; undefined when it lacks nothing. */
export function missingForS3Mock(): string | undefined {
  if (spawnSync('java', ['-version']).status !== 0) return 'no `java` (17 or newer)'
  if (existsSync(join(cache, name)) || spawnSync('mvn', ['-v']).status === 0) return undefined
  return 'no `mvn` to fetch S3Mock with'
}

/** Adobe's S3Mock from Maven's jars. It knows everybody, and has lifecycle rules and TLS. */
export async function startS3Mock(): Promise<TestS3> {
  const pom = join(import.meta.dirname, 's3mock.pom.xml')
  const goal = ['-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime']
  const folder = await cachedFolder(name, target => maven(...goal, `-DoutputDirectory=${target}`))
  return startNativeS3('S3Mock', ({ data, port, tlsPort }) => [
    'java',
    ...jvm,
    ...['-cp', join(folder, '*'), 'com.adobe.testing.s3mock.S3MockApplication'],
    ...['--server.address=127.0.0.1', `--server.port=${tlsPort}`],
    `--com.adobe.testing.s3mock.http-port=${port}`,
    `--com.adobe.testing.s3mock.store.root=${data}`,
  ])
}
