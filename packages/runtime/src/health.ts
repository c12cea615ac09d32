/** Whether a part of the program can do its work right now, and if not, why. */
export interface HealthPart {
  readonly ready: boolean
  /** One line for people: what is wrong and what to do. Never a secret. */
  readonly detail?: string
}

/** What `/readyz` answers: ready when every part that registered says so. */
export class Health {
  readonly #parts = new Map<string, () => HealthPart>()

  /** `check` is asked at every request, so that it tells the truth of that moment. */
  register(name: string, check: () => HealthPart): void {
    this.#parts.set(name, check)
  }

  read(): { readonly ready: boolean; readonly parts: Readonly<Record<string, HealthPart>> } {
    const parts = Object.fromEntries([...this.#parts].map(([name, check]) => [name, check()]))
    return { ready: Object.values(parts).every(part => part.ready), parts }
  }
}
