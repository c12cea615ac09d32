/** Requests that wait for their refusal: each holds what its socket buffers. Of more the answer comes at once. */
export const heldRefusalsMax = 256

/**
 * Lets a refused request wait, unread, for as long as its client is told to wait: one that comes again
 * at once would otherwise take with its refusals what the others need to be decided.
 */
export class RefusalHold {
  readonly #holdMs: number
  #held = 0

  constructor(holdMs: number) {
    this.#holdMs = holdMs
  }

  async wait(): Promise<void> {
    if (this.#held >= heldRefusalsMax) return
    this.#held++
    const { promise, resolve } = Promise.withResolvers<void>()
    setTimeout(resolve, this.#holdMs)
    await promise
    this.#held--
  }
}
