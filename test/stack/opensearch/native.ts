import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { NativeServer } from '../native-server.ts'
import type { TestOpenSearch } from '../opensearch.ts'
import { freePort } from '../ports.ts'
import { fetchJars, hasJars, hasMaven, javaMin, nodeCommand } from './jars.ts'
import { findJdk } from './java.ts'

export interface NativeOpenSearchOptions {
  /** Node settings, as in `opensearch.yml`. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** MiB; a node that is to meet its limits may be small. */
  readonly heapMiB?: number
}

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
    if (hasJars(version) || hasMaven()) return { version, jdk }
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
  const jars = await fetchJars(version, jdk)
  const folder = mkdtempSync(join(tmpdir(), 'winnow-opensearch-'))
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const settings = { 'http.port': port, ...options.settings }
    const server = new NativeServer({
      name: `OpenSearch ${version}`,
      folder,
      command: async () => nodeCommand(jdk, jars, folder, settings, options.heapMiB),
      isReady: () => isHealthy(url),
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
      // A port that was free may be taken before the node binds it.
      const isTaken = /Address already in use|Bind(?:Http)?Exception/i.test(String(error))
      if (isTaken && attempt < attemptsMax) continue
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
  }
}

/** Its port answers before its shards do: after a kill they replay their logs first. */
async function isHealthy(url: string): Promise<boolean> {
  const path = '/_cluster/health?wait_for_status=yellow&timeout=1s'
  const health = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(5_000) })
  return health.ok && ((await health.json()) as { timed_out: boolean }).timed_out === false
}
