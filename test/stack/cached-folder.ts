import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { PipelineError } from '@winnow/runtime'
import { FolderLock } from '../../packages/bus/src/folder-lock.ts'

/** Kept between runs: what a server is made of. */
export const cache = join(import.meta.dirname, '.cache')

const everyMs = 200

/**
 * A folder of the cache, made by whoever is the first to need it; of several processes one makes at a
 * time, for Maven's own repository is not safe otherwise. Made beside and renamed, so that what was
 * interrupted is not taken for a whole one.
 */
export async function cachedFolder(
  name: string,
  make: (target: string) => Promise<void>,
): Promise<string> {
  const folder = join(cache, name)
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  const held = await lock()
  try {
    if (existsSync(folder)) return folder
    const target = `${folder}.${process.pid}`
    mkdirSync(target)
    try {
      await make(target)
      renameSync(target, folder)
    } finally {
      rmSync(target, { recursive: true, force: true })
    }
    return folder
  } finally {
    held.release()
  }
}

async function lock(): Promise<FolderLock> {
  for (;;) {
    try {
      return FolderLock.take(cache)
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error
      await sleep(everyMs)
    }
  }
}

/** Runs Maven without a word but its errors. */
export function maven(...args: string[]): Promise<void> {
  return run('mvn', ['-q', '-B', ...args])
}

/** Runs a program to its end; rejects where that is not a good one. */
export async function run(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'inherit', 'inherit'] })
  const [code, signal] = await once(child, 'exit')
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code ?? signal}`)
}
