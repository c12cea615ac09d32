import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cache, cachedFolder, maven } from '../cached-folder.ts'
import type { TestS3 } from '../s3.ts'
import { startNativeS3 } from './native.ts'

const version = '4.1.0'
const name = `s3proxy-${version}`
const jar = join(cache, name, `${name}-jar-with-dependencies.jar`)
const jvm = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

/** What this machine lacks for an S3Proxy; undefined when it lacks nothing. */
export function missingForS3Proxy(): string | undefined {
  if (spawnSync('java', ['-version']).status !== 0) {
    return 'no `java` (17 or newer), TEST_S3 not set'
  }
  if (existsSync(jar) || spawnSync('mvn', ['-v']).status === 0) return undefined
  return 'no `mvn` to fetch S3Proxy with, TEST_S3 not set'
}

/** S3Proxy from Maven's jar, on files: it checks signatures and keeps storage classes; no lifecycle rules. */
export async function startS3Proxy(): Promise<TestS3> {
  const artifact = `org.gaul:s3proxy:${version}:jar:jar-with-dependencies`
  await cachedFolder(name, target =>
    maven('dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${target}`),
  )
  return startNativeS3('S3Proxy', ({ data, port, accessKeyId, secretAccessKey }) => {
    const properties = join(data, '..', 's3proxy.properties')
    const all = {
      's3proxy.authorization': 'aws-v2-or-v4',
      's3proxy.endpoint': `http://127.0.0.1:${port}`,
      's3proxy.identity': accessKeyId,
      's3proxy.credential': secretAccessKey,
      'jclouds.provider': 'filesystem-nio2',
      'jclouds.filesystem.basedir': data,
    }
    const lines = Object.entries(all).map(([key, value]) => `${key}=${value}\n`)
    writeFileSync(properties, lines.join(''))
    return ['java', ...jvm, '-jar', jar, '--properties', properties]
  })
}
