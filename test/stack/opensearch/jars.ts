import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { cache, cachedFolder, maven, run } from '../cached-folder.ts'

const here = import.meta.dirname
const jvm = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.awt.headless=true']

/** The newest release whose security plug-in and modules are all published. */
export const secureVersion = '2.19.4'

/** Lucene 10, which OpenSearch 3 stands on, needs Java 21. */
export function javaMin(version: string): number {
  return Number(version.split('.')[0]) >= 3 ? 21 : 11
}

export function hasJars(version: string): boolean {
  return existsSync(jarsOf(version))
}

export function hasMaven(): boolean {
  return spawnSync('mvn', ['-v']).status === 0
}

/** Starts a node of these jars on the folder. `settings` are as in `opensearch.yml`. */
export function nodeCommand(
  jdk: string,
  jars: string,
  folder: string,
  settings: Readonly<Record<string, string | number | boolean>>,
  heapMiB = 512,
): string[] {
  const heap = [`-Xms${heapMiB}m`, `-Xmx${heapMiB}m`]
  const path = `${join(jars, 'classes')}:${join(jars, '*')}`
  const given = Object.entries(settings).map(([key, value]) => `${key}=${value}`)
  return [join(jdk, 'bin/java'), ...heap, ...jvm, '-cp', path, 'OsNode', folder, ...given]
}

/** The folder of a release's jars, with the node's class beside them. */
export function fetchJars(version: string, jdk: string): Promise<string> {
  return cachedFolder(basename(jarsOf(version)), target => fetchInto(target, version, jdk))
}

/**
 * Jars for a node that has the security plug-in, and the plug-in's folder. It brings its own of what
 * is taken out, and the server refuses a class that comes twice.
 */
export async function fetchSecureJars(
  jdk: string,
): Promise<{ readonly jars: string; readonly plugin: string }> {
  const jars = await cachedFolder(`opensearch-${secureVersion}-secure`, async target => {
    await fetchInto(target, secureVersion, jdk, '-Dclassloader.version=2.19.6')
    for (const name of readdirSync(target)) if (ofPlugin.test(name)) rmSync(join(target, name))
    const plugin = join(target, 'plugin')
    const artifact = `org.opensearch.plugin:opensearch-security:${secureVersion}.0:zip`
    await maven('dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${plugin}`)
    const zip = join(plugin, `opensearch-security-${secureVersion}.0.zip`)
    await run(join(jdk, 'bin/jar'), ['xf', zip], { cwd: plugin })
    rmSync(zip)
  })
  return { jars, plugin: join(jars, 'plugin') }
}

const ofPlugin =
  /^(transport-netty4|netty-|reindex|ingest-common|lang-painless|analysis-common|mapper-extras|opensearch-rest-client|http|commons-|slf4j|asm|antlr)/

function jarsOf(version: string): string {
  return join(cache, `opensearch-${version}`)
}

async function fetchInto(
  target: string,
  version: string,
  jdk: string,
  ...more: string[]
): Promise<void> {
  const pom = ['-f', join(here, 'pom.xml'), `-Dopensearch.version=${version}`]
  await maven('dependency:copy-dependencies', ...pom, `-DoutputDirectory=${target}`, ...more)
  // For the oldest Java that the release runs on: another JDK may meet these classes.
  const release = ['-nowarn', '--release', `${javaMin(version)}`]
  const paths = ['-cp', join(target, '*'), '-d', join(target, 'classes')]
  await run(join(jdk, 'bin/javac'), [...release, ...paths, join(here, 'OsNode.java')])
}
