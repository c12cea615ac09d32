import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { PipelineError } from '@winnow/runtime'

/** Makes a folder and those above it. A folder is durable once the folder that names it is synced. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let made = folder; made.length >= first.length; made = dirname(made)) {
    await syncFolder(dirname(made))
  }
}

/** What was created, linked or removed in the folder survives a power cut once this resolves. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The system's own word for what went wrong (`ENOENT`), where it has one. */
export function systemCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code
}

/** An error of the file system as ours; one that is ours already is passed on. */
export function storeError(what: string, error: unknown): PipelineError {
  if (error instanceof PipelineError) return error
  const remedy = systemCode(error) === 'ENOSPC' ? ': the disk is full, free some space' : ''
  return new PipelineError('STORE_UNAVAILABLE', `${what} failed${remedy}`, { cause: error })
}
