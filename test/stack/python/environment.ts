import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const here = import.meta.dirname

/** The interpreter with what was required, or why there is none. */
export type Python = { readonly python: string } | { readonly why: string }

/**
 * A virtual environment under `.cache/`, made once for each content of the file of requirements beside this one. A
 * file in it says that it is whole, so that a run which is killed leaves no half of one behind.
 */
export async function pythonEnvironment(file = 'requirements.txt'): Promise<Python> {
  const requirements = join(here, file)
  const digest = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12)
  const folder = join(here, '..', '.cache', `python-${digest}`)
  const marker = join(folder, 'ready')
  const python = join(folder, 'bin', 'python')
  if (await exists(marker)) return { python }
  try {
    await rm(folder, { recursive: true, force: true })
    await run('python3', ['-m', 'venv', folder])
  } catch (error) {
    return { why: `python3 with venv (Debian: python3 and python3-venv): ${firstLine(error)}` }
  }
  try {
    await run(python, ['-m', 'pip', 'install', '--quiet', '-r', requirements])
    await writeFile(marker, '')
    return { python }
  } catch (error) {
    return { why: `a Python package index that answers: ${firstLine(error)}` }
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function firstLine(error: unknown): string {
  return (
    String((error as { stderr?: string }).stderr || error)
      .trim()
      .split('\n')
      .at(-1) ?? ''
  )
}
