/** What was answered within the last `keptMs`, by key; who asks while another waits gets the same answer. */
export class Recent<T> {
  readonly #keptMs: number
  readonly #nowMs: () => number
  readonly #answers = new Map<string, { readonly askedAtMs: number; readonly answer: Promise<T> }>()

  constructor(keptMs: number, nowMs: () => number) {
    this.#keptMs = keptMs
    this.#nowMs = nowMs
  }

  /** An answer that failed is not kept. Rejects with what `ask` rejects with. */
  of(key: string, ask: () => Promise<T>): Promise<T> {
    const askedAtMs = this.#nowMs()
    const held = this.#answers.get(key)
    const ageMs = askedAtMs - (held?.askedAtMs ?? 0)
    // A clock that was set back says nothing of an age.
    if (held !== undefined && ageMs >= 0 && ageMs < this.#keptMs) return held.answer
    const answer = ask()
    this.#answers.set(key, { askedAtMs, answer })
    answer.catch(() => {
      if (this.#answers.get(key)?.answer === answer) this.#answers.delete(key)
    })
    return answer
  }

  forget(key: string): void {
    this.#answers.delete(key)
  }
}
