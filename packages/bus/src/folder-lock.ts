import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
// biome-ignore lint/correctness/noUnresolvedImports: Biome's list of Node's modules lacks this one.
import { DatabaseSync } from 'node:sqlite'
import { PipelineError } from '@winnow/runtime'

const sqliteBusy = 5

/**
 * The right of one process to a data folder. The lock is the kernel's, on an empty SQLite file: Node
 * has no flock, and SQLite takes one through fcntl. The kernel drops it when the process ends in
 * whatever way, so there is no stale lock to recognise, and reuse of a pid means nothing. Within one
 * process SQLite itself refuses the second. `owner.json` is only for the message.
 *
 * Trap: POSIX drops the lock when the holding process opens and closes the `lock` file by any other
 * way, for example by copying the folder. Other processes may do so.
 */
export class FolderLock {
  readonly #folder: string
  readonly #database: DatabaseSync

  private constructor(folder: string, database: DatabaseSync) {
    this.#folder = folder
    this.#database = database
  }

  /** Rejects with CONFIG_INVALID, naming folder and process, while another bus holds the folder. */
  static take(folder: string): FolderLock {
    const database = new DatabaseSync(join(folder, lockFileName), { timeout: 0 })
    try {
      database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    } catch (cause) {
      database.close()
      const isHeld = cause instanceof Error && 'errcode' in cause && cause.errcode === sqliteBusy
      if (!isHeld) throw cause
      throw new PipelineError(
        'CONFIG_INVALID',
        `data folder ${folder} is in use by process ${ownerOf(folder)}; stop it, or give another folder`,
        { cause },
      )
    }
    writeFileSync(join(folder, ownerFileName), `${JSON.stringify({ v: 1, pid: process.pid })}\n`)
    return new FolderLock(folder, database)
  }

  release(): void {
    if (!this.#database.isOpen) return
    rmSync(join(this.#folder, ownerFileName), { force: true })
    this.#database.close()
  }
}

export const lockFileName = 'lock'
export const ownerFileName = 'owner.json'

function ownerOf(folder: string): string {
  try {
    const owner: unknown = JSON.parse(readFileSync(join(folder, ownerFileName), 'utf8'))
    if (typeof owner === 'object' && owner !== null && 'pid' in owner) return String(owner.pid)
  } catch {
    // It is being written, or was never: the lock holds all the same.
  }
  return 'unknown'
}
