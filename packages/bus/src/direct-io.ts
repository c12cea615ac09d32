import { constants, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { blockBytes } from './file-format.ts'

const pageBytes = 4096

/** How the page cache is bypassed for a ring. */
export interface DirectWrites {
  readonly openFlags: number
  /** Index in the ring's memory from which its addresses are aligned. */
  readonly base: number
}

/**
 * Whether files in `folder` take writes past the page cache from `memory`, and from which index on:
 * a fresh page of the cache costs more than the copy to the disk, and the ring is cache enough. The
 * kernel wants aligned addresses and JavaScript knows none, so a piece is written from one index
 * after the other until the kernel takes it. `memory` has a block more than is needed.
 *
 * Trap: some drivers take a single block from any address, so long as it lies within one page of
 * memory. The piece written is therefore longer than a page.
 */
export async function probeDirectWrites(
  folder: string,
  memory: Buffer,
): Promise<DirectWrites | undefined> {
  const openFlags = constants.O_DIRECT
  if (openFlags === undefined) return undefined
  const path = join(folder, 'probe.tmp')
  const flags = constants.O_CREAT | constants.O_TRUNC | constants.O_WRONLY | openFlags
  const file = await open(path, flags).catch(() => undefined)
  if (file === undefined) return undefined
  const length = Math.min(memory.length - blockBytes, 4 * pageBytes)
  try {
    for (let base = 0; base < blockBytes; base += 8) {
      const isTaken = await file.write(memory, base, length, 0).then(
        ({ bytesWritten }) => bytesWritten === length,
        () => false,
      )
      if (isTaken) return { openFlags, base }
    }
    return undefined
  } finally {
    await file.close()
    await rm(path, { force: true })
  }
}
