import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { PipelineError } from '@winnow/runtime'

/**
 * Makes the data folder and what is missing above it. CONFIG_INVALID where that cannot be. Step by
 * step, because Node's own recursive mkdir never returns where the system says that a parent which
 * exists does not, as `/proc` does.
 */
export function makeFolder(folder: string): void {
  try {
    make(resolve(folder))
  } catch (cause) {
    const remedy = 'name a folder that can be written with --data'
    const reason = (cause as Error).message
    throw new PipelineError('CONFIG_INVALID', `data ${folder}: ${reason}; ${remedy}`, { cause })
  }
}

function make(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false })
  if (found?.isDirectory()) return
  if (found === undefined && dirname(folder) !== folder) make(dirname(folder))
  // A file in its place says EEXIST here.
  mkdirSync(folder)
}
