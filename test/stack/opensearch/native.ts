import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { NativeServer } from '../native-server.ts'
import type { TestOpenSearch } from '../opensearch.ts'
import { freePort } from '../ports.ts'
import { findJdk } from './java.ts'

export interface NativeOpenSearchOptions {
  /** Node settings, as in `opensearch.yml`. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** MiB; a node that is to meet its limits may be small. */
  readonly heapMiB?: number
}

const here = import.meta.dirname
const jvm = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.awt.headless=true']
const attemptsMax = 3

/** The release that this machine can run, with the JDK for it; else what is missing. */
export function nativeOpenSearch():
  | { readonly version: string; readonly jdk: string }
  | { readonly why: string } {
  const named = process.env.OPENSEARCH_VERSION
  const versions = named === undefined ? ['3.8.0', '2.19.6'] : [named]
  for (const version of versions) {
    const jdk = findJdk(javaMin(version))
    if (jdk === undefined) continue
    if (existsSync(jarsOf(version)) || spawnSync('mvn', ['-v']).status === 0) {
      return { version, jdk }
    }
    return { why: 'no `mvn` to fetch its jars with, TEST_OPENSEARCH not set' }
  }
  return {
    why: 'no JDK (21 or newer, for OpenSearch 2.x 11) in /usr/lib/jvm or JAVA_HOME, TEST_OPENSEARCH not set',
  }
}

/**
 * OpenSearch, one node, from Maven's jars, on a free port of 127.0.0.1. Its data lives in a folder of
 * its own until `stop`; it is killed when this process ends without one.
 */
export async function startNativeOpenSearch(
  { version, jdk }: { readonly version: string; readonly jdk: string },
  options: NativeOpenSearchOptions = {},
): Promise<TestOpenSearch> {
  const jars = fetchJars(version, jdk)
  const folder = mkdtempSync(join(tmpdir(), 'winnow-opensearch-'))
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const heap = `${options.heapMiB ?? 512}m`
    const settings = { 'http.port': port, ...options.settings }
    const server = new NativeServer({
      name: `OpenSearch ${version}`,
      folder,
      command: async () => [
        join(jdk, 'bin/java'),
        `-Xms${heap}`,
        `-Xmx${heap}`,
        ...jvm,
        '-cp',
        `${join(jars, 'classes')}:${join(jars, '*')}`,
        'OsNode',
        folder,
        ...Object.entries(settings).map(([key, value]) => `${key}=${value}`),
      ],
      // Its port answers before its shards do: after a kill they replay their logs first.
      isReady: async () => {
        const health = await fetch(`${url}/_cluster/health?wait_for_status=yellow&timeout=1s`)
        return health.ok && ((await health.json()) as { timed_out: boolean }).timed_out === false
      },
    })
    try {
      await server.start()
      return {
        url,
        version,
        kill9: () => server.kill9(),
        restart: () => server.start(),
        stop: () => server.stop(),
      }
    } catch (error) {
      if (
        /Address already in use|BindException|BindHttpException/.test(String(error)) &&
        attempt < attemptsMax
      )
        continue
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
  }
}

/** Lucene 10, which OpenSearch 3 stands on, needs Java 21. */
function javaMin(version: string): number {
  return Number(version.split('.')[0]) >= 3 ? 21 : 11
}

function jarsOf(version: string): string {
  return join(here, '..', '.cache', `opensearch-${version}`)
}

/** Fetched and compiled beside and renamed, so that an interrupted fetch is not taken for a whole one. */
function fetchJars(version: string, jdk: string): string {
  const jars = jarsOf(version)
  if (existsSync(jars)) return jars
  const target = `${jars}.${process.pid}`
  mkdirSync(target, { recursive: true })
  const goal = ['-q', '-B', '-f', join(here, 'pom.xml'), 'dependency:copy-dependencies']
  const where = [`-DoutputDirectory=${target}`, `-Dopensearch.version=${version}`]
  execFileSync('mvn', [...goal, ...where], { stdio: ['ignore', 'inherit', 'inherit'] })
  // For the oldest Java that the release runs on: another JDK may meet these classes.
  const compile = ['-nowarn', '--release', `${javaMin(version)}`, '-cp', join(target, '*')]
  compile.push('-d', join(target, 'classes'))
  execFileSync(join(jdk, 'bin/javac'), [...compile, join(here, 'OsNode.java')])
  try {
    renameSync(target, jars)
  } catch (error) {
    // Another test was quicker.
    if (!existsSync(jars)) throw error
    rmSync(target, { recursive: true, force: true })
  }
  return jars
}
