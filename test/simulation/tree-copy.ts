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
import { basename, join, relative } from 'node:path'

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
  readonly #root: string

  constructor(root: string) {
    this.#root = root
    this.folder = mkdtempSync(join(tmpdir(), 'winnow-mutate-'))
    const isSource = (path: string): boolean => basename(path) !== 'node_modules'
    for (const part of ['packages', 'services', 'test/simulation', 'package.json']) {
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

  /** Returns what undoes it. Throws where the text is not there exactly once. */
  apply(changes: readonly Change[]): () => void {
    const before = new Map<string, string>()
    const undo = (): void => {
      for (const [path, text] of before) writeFileSync(path, text)
    }
    try {
      for (const { file, from, to } of changes) {
        const path = join(this.folder, file)
        const text = readFileSync(path, 'utf8')
        const times = text.split(from).length - 1
        if (times !== 1) throw new Error(`${file} has ${times} times, not once: ${from}`)
        if (!before.has(path)) before.set(path, text)
        writeFileSync(
          path,
          text.replace(from, () => to),
        )
      }
    } catch (error) {
      undo()
      throw error
    }
    return undo
  }

  /** For messages. */
  shown(path: string): string {
    return relative(this.#root, path)
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
