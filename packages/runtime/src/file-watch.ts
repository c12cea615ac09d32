import { type BigIntStats, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'

/** How often files are looked at that are read anew when they change. */
export const reloadEveryMs = 2000

/**
 * Tells when one of some files is another than before: its contents written or moved into place, or the
 * link to it turned, as Kubernetes does. It looks every {@link reloadEveryMs}: notices of a file system do
 * not come from all of them.
 */
export class FileWatch {
  readonly #paths: readonly string[]
  readonly #onChange: () => void
  readonly #timer: NodeJS.Timeout
  #seen: string

  /** Made before the files are read: what changes after that is told. */
  constructor(paths: readonly string[], onChange: () => void, everyMs = reloadEveryMs) {
    this.#paths = paths
    this.#onChange = onChange
    this.#seen = paths.map(path => marks(statSync(path, options))).join()
    this.#timer = setInterval(() => {
      this.poll().catch(() => {})
    }, everyMs)
    this.#timer.unref()
  }

  /** Looks now. */
  async poll(): Promise<void> {
    const looks = this.#paths.map(path => stat(path, options).catch(() => undefined))
    const now = (await Promise.all(looks)).map(marks).join()
    if (now === this.#seen) return
    this.#seen = now
    this.#onChange()
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

const options = { bigint: true, throwIfNoEntry: false } as const

function marks(file: BigIntStats | undefined): string {
  return file === undefined ? 'gone' : `${file.ino} ${file.size} ${file.mtimeNs} ${file.ctimeNs}`
}
