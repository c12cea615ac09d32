import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The wall clock of the processes that are started with its options, as the test likes it. */
export class MovedClock {
  readonly #folder = mkdtempSync(join(tmpdir(), 'winnow-clock-'))
  readonly #file = join(this.#folder, 'shift-ms')

  /** For `startWinnow` and the systems of the crash runs. */
  get options(): { env: Readonly<Record<string, string>>; nodeArgs: readonly string[] } {
    return {
      env: { TEST_CLOCK_FILE: this.#file },
      nodeArgs: ['--import', join(import.meta.dirname, 'clock-preload.mjs')],
    }
  }

  get nowMs(): number {
    return Date.now() + this.#shiftMs
  }

  /** Resolves once every thread has it. */
  async jump(byMs: number): Promise<void> {
    const shiftMs = this.#shiftMs + byMs
    // Renamed, so that nobody reads half of it.
    writeFileSync(`${this.#file}.new`, `${shiftMs}`)
    renameSync(`${this.#file}.new`, this.#file)
    await sleep(readEveryMs)
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true })
  }

  get #shiftMs(): number {
    try {
      return Number(readFileSync(this.#file, 'utf8'))
    } catch {
      return 0
    }
  }
}

/** A little more than the pause between two looks of the preload module. */
const readEveryMs = 300
