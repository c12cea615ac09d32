/** Whether a part of the program can do its work right now, and if not, why. */
export interface HealthPart {
  readonly ready: boolean
  /** One line for people: what is wrong and what to do; of a ready part, what it does without. Never a secret. */
  readonly detail?: string
}

export interface HealthReport {
  readonly ready: boolean
  /** Ready, and a part does without something. */
  readonly degraded: boolean
  readonly parts: Readonly<Record<string, HealthPart>>
}

/** Undefined: there is no such part here. */
type Check = () => HealthPart | undefined | Promise<HealthPart | undefined>

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
    const parts: Record<string, HealthPart> = {}
    for (const [name, part] of await Promise.all(checked))
      if (part !== undefined) parts[name] = part
    const all = Object.values(parts)
    const ready = all.every(part => part.ready)
    return { ready, degraded: ready && all.some(part => part.detail !== undefined), parts }
  }
}
