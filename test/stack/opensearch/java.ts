import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

/** A JDK of at least this release; undefined: there is none here. */
export function findJdk(releaseMin: number): string | undefined {
  return homes().find(home => releaseOf(home) >= releaseMin && existsSync(join(home, 'bin/javac')))
}

function homes(): string[] {
  const installed = '/usr/lib/jvm'
  const names = existsSync(installed) ? readdirSync(installed) : []
  return [process.env.JAVA_HOME ?? '', ...names.map(name => join(installed, name))]
}

/** As its `release` file says; 0 for a folder that holds none. */
function releaseOf(home: string): number {
  const file = join(home, 'release')
  if (home === '' || !existsSync(file)) return 0
  return Number(/^JAVA_VERSION="(\d+)/m.exec(readFileSync(file, 'utf8'))?.[1] ?? 0)
}
