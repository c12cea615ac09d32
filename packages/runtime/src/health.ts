/** Whether a part of the program can do its work right now, and if not, why. */
export interface HealthPart {
  readonly ready: boolean
  /** One line for people: what is wrong and what to do. Never a secret. */
  readonly detail?: string
}

export interface HealthReport {
  readonly ready: boolean
  readonly parts: Readonly<Record<string, HealthPart>>
}

type Check = () => HealthPart | Promise<HealthPart>

/** What `/readyz` answers: ready when every part that registered says so. */
export class Health {
  readonly #checks = new Map<string, Check>()

  /** `check` is asked at every request, so that it tells the truth of that moment. */
  register(name: string, check: Check): void {
    this.#checks.set(name, check)
  }

  async read(): Promise<HealthReport> {
    const checked = Array.from(
      this.#checks,
      async ([name, check]) => [name, await check()] as const,
    )
    const parts: Record<string, HealthPart> = Object.fromEntries(await Promise.all(checked))
    return { ready: Object.values(parts).every(part => part.ready), parts }
  }
}
