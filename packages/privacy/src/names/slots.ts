export interface SlotLimits {
  /** Things under way at once, of all and of one owner. */
  readonly slotsMax: number
  readonly slotsPerOwnerMax: number
  /** Those of one owner that wait for a slot. */
  readonly waitingPerOwnerMax: number
}

interface Waiting {
  readonly owner: string
  readonly go: () => void
}

/** Room for so many things at a time. Whoever has his share lets others go first. */
export class Slots {
  readonly #limits: SlotLimits
  readonly #taken = new Map<string, number>()
  readonly #waiting: Waiting[] = []
  #takenByAll = 0

  constructor(limits: SlotLimits) {
    this.#limits = limits
  }

  /** Resolves with what gives it back; `full`: too many wait; `aborted`: the signal came first. */
  async take(owner: string, signal: AbortSignal): Promise<(() => void) | 'full' | 'aborted'> {
    if (signal.aborted) return 'aborted'
    if (!this.#isFree(owner)) {
      const { waitingPerOwnerMax } = this.#limits
      const mine = this.#waiting.filter(one => one.owner === owner).length
      if (mine >= waitingPerOwnerMax) return 'full'
      if (!(await this.#turn(owner, signal))) return 'aborted'
    } else this.#count(owner, 1)
    let isBack = false
    return () => {
      if (isBack) return
      isBack = true
      this.#count(owner, -1)
      this.#next()
    }
  }

  #isFree(owner: string): boolean {
    const { slotsMax, slotsPerOwnerMax } = this.#limits
    return this.#takenByAll < slotsMax && (this.#taken.get(owner) ?? 0) < slotsPerOwnerMax
  }

  /** True: a slot was counted for the owner. */
  #turn(owner: string, signal: AbortSignal): Promise<boolean> {
    return new Promise(resolve => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
        resolve(false)
      }
      const waiting = {
        owner,
        go: () => {
          signal.removeEventListener('abort', onAbort)
          resolve(true)
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(waiting)
    })
  }

  #next(): void {
    const at = this.#waiting.findIndex(({ owner }) => this.#isFree(owner))
    if (at < 0) return
    const [waiting] = this.#waiting.splice(at, 1)
    if (waiting === undefined) return
    this.#count(waiting.owner, 1)
    waiting.go()
  }

  #count(owner: string, by: number): void {
    this.#takenByAll += by
    const taken = (this.#taken.get(owner) ?? 0) + by
    if (taken === 0) this.#taken.delete(owner)
    else this.#taken.set(owner, taken)
  }
}
