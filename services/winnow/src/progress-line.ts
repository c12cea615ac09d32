import process from 'node:process'
import { systemClock } from '@winnow/runtime'

/** A line on standard error every two seconds: work that is done sooner says nothing. */
export class ProgressLine {
  #shownAtMs = systemClock.nowMs()

  show(text: string): void {
    if (systemClock.nowMs() < this.#shownAtMs + 2_000) return
    this.#shownAtMs = systemClock.nowMs()
    process.stderr.write(`winnow: ${text}\n`)
  }
}
