/** Who waits for the end of a partition to move. One a partition; waking costs nothing when nobody waits. */
export class Waiters {
  readonly #wakes = new Set<() => void>()

  wake(): void {
    for (const wake of [...this.#wakes]) wake()
  }

  /** Resolves at the next `wake`, after `waitMs`, or once `lost` aborts, whichever is first. */
  wait(waitMs: number, lost?: AbortSignal): Promise<void> {
    if (lost?.aborted === true || waitMs <= 0) return Promise.resolve()
    return new Promise(resolve => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#wakes.delete(wake)
        lost?.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, Math.min(waitMs, timerMaxMs))
      this.#wakes.add(wake)
      lost?.addEventListener('abort', wake)
    })
  }
}

/** Node fires a longer timer at once. */
export const timerMaxMs = 0x7fffffff
