import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

/** One text that is replaced in one file. */
export interface Change {
  readonly file: string
  readonly from: string
  readonly to: string
}

/**
 * The sources in a folder of their own, so that code can be changed and run without touching the tree:
 * the workspaces' links in `node_modules` point into the copy, all others to what is installed.
 */
export class TreeCopy {
  readonly folder: string
  constructor(root: string) {
    this.folder = mkdtempSync(join(tmpdir(), 'winnow-mutate-'))
    const isSource = (path: string): boolean => basename(path) !== 'node_modules'
    for (const part of [
      'packages',
      'services',
      'test/simulation',
      'test/support',
      'package.json',
    ]) {
      cpSync(join(root, part), join(this.folder, part), { recursive: true, filter: isSource })
    }
    const modules = join(this.folder, 'node_modules')
    mkdirSync(join(modules, '@winnow'), { recursive: true })
    for (const name of readdirSync(join(root, 'node_modules'))) {
      if (name !== '@winnow') symlinkSync(join(root, 'node_modules', name), join(modules, name))
    }
    for (const kind of ['packages', 'services']) {
      for (const name of readdirSync(join(root, kind))) {
        symlinkSync(join(this.folder, kind, name), join(modules, '@winnow', name))
        const own = join(root, kind, name, 'node_modules')
        if (readdirSync(join(root, kind, name)).includes('node_modules')) {
          symlinkSync(own, join(this.folder, kind, name, 'node_modules'))
        }
      }
    }
  }

  /** Returns what undoes it. Throws where a text is not there exactly once. */
  apply(changes: readonly Change[]): () => void {
    const before = new Map<string, string>()
    for (const { file, from, to } of changes) {
      const path = join(this.folder, file)
      const text = readFileSync(path, 'utf8')
      const problem = problemOf(text, { file, from, to })
      if (problem !== undefined) throw new Error(problem)
      if (!before.has(path)) before.set(path, text)
      writeFileSync(
        path,
        text.replace(from, () => to),
      )
    }
    return () => {
      for (const [path, text] of before) writeFileSync(path, text)
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Code moves on; a change whose text is gone says nothing any more. */
export function problemOf(text: string, { file, from }: Change): string | undefined {
  const times = text.split(from).length - 1
  return times === 1 ? undefined : `${file} has ${times} times, not once: ${from}`
}
