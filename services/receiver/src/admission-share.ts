/** What was admitted within it counts whole, and then fades for as long again. */
export const shareWindowMs = 10_000

/** Tenants that a window counts apart; those beyond have one count together. */
export const shareTenantsMax = 10_000

/**
 * So much over an equal share is chance: what a modest tenant sent before a flood began is more than
 * the flood's first requests, and who floods would take turns with it at equal counts.
 */
export const shareSlackBytes = 1024 * 1024

/**
 * Bytes that each tenant was given lately, against an equal share of all of them. Two panes: the one
 * that is being filled, and the one before it, which fades while the other fills.
 *
 *     ── before (fades) ──┬── now (whole) ──▶     a tenant is active while it is in either
 *
 * Constant work a request, and memory for {@link shareTenantsMax} tenants a pane.
 */
export class FairShare {
  readonly #nowMs: () => number
  #now = new Pane()
  #before = new Pane()
  #active = 0
  #startMs: number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
    this.#startMs = nowMs()
  }

  add(tenant: string, bytes: number): void {
    this.#move()
    const name = this.#now.nameOf(tenant)
    if (!this.#now.has(name) && !this.#before.has(name)) this.#active++
    this.#now.add(name, bytes)
  }

  /** It was given more than an equal share and the slack. A tenant alone never was. */
  isAbove(tenant: string): boolean {
    return this.#excess(tenant) > shareSlackBytes * this.#active
  }

  /** It was given less than an equal share: what is too much is not its doing. */
  isBelow(tenant: string): boolean {
    return this.#excess(tenant) < 0
  }

  /** Bytes over the share, times the active tenants. */
  #excess(tenant: string): number {
    this.#move()
    const fading = 1 - (this.#nowMs() - this.#startMs) / shareWindowMs
    const own = this.#now.of(tenant) + fading * this.#before.of(tenant)
    return own * this.#active - (this.#now.bytes + fading * this.#before.bytes)
  }

  #move(): void {
    const passedMs = this.#nowMs() - this.#startMs
    if (passedMs >= 0 && passedMs < shareWindowMs) return
    // A clock that was set back begins a new pane too: else nothing would fade until it has caught up.
    const isNext = passedMs < 2 * shareWindowMs
    this.#before = isNext ? this.#now : new Pane()
    this.#now = new Pane()
    this.#active = this.#before.size
    this.#startMs += isNext && passedMs > 0 ? shareWindowMs : passedMs
  }
}

/** The name of those beyond the limit; no tenant's is empty. */
const others = ''

class Pane {
  readonly #byName = new Map<string, number>()
  bytes = 0

  get size(): number {
    return this.#byName.size
  }

  nameOf(tenant: string): string {
    return this.has(tenant) || this.size < shareTenantsMax ? tenant : others
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  of(tenant: string): number {
    return this.#byName.get(this.nameOf(tenant)) ?? 0
  }

  add(name: string, bytes: number): void {
    this.#byName.set(name, (this.#byName.get(name) ?? 0) + bytes)
    this.bytes += bytes
  }
}
