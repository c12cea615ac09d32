import { PipelineError } from '@winnow/runtime'
import { FairShare } from './admission-share.ts'

export interface AdmissionLimits {
  readonly inflightBytesMax: number
  readonly inflightBytesPerTenantMax: number
}

/** The lag, and the part of `inflightBytesMax`, from which a tenant above its share is refused. */
export const pressureFrom = 0.5

/** One request's share of the bytes in flight. */
export interface Ticket {
  /** Counts bytes that are about to be held. QUOTA_EXCEEDED where they do not fit; nothing is counted then. */
  take(bytes: number): void
  /** Counts bytes that are held already: what follows is refused instead. */
  charge(bytes: number): void
  /** The same for as long as somebody is waited for, so it is no part of the tenant's share. Negative: it is over. */
  hold(bytes: number): void
  /** Gives everything back. May be called twice. */
  release(): void
}

/**
 * Bytes that requests hold in memory, of all tenants and of each. It is what keeps memory flat: a
 * body is counted chunk by chunk as it comes, so that a client which only promises a large one holds
 * nothing back from the others. Where room runs short, whoever took more than its share is refused
 * first, so that the others notice nothing before the limit itself.
 */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #lag: () => number
  readonly #share: FairShare
  readonly #byTenant = new Map<string, number>()
  #bytes = 0

  /** `lag`: how near the stages of this process are to being too far behind, 0 to 1; at 1 nothing is admitted. */
  constructor(limits: AdmissionLimits, nowMs: () => number, lag: () => number = () => 0) {
    this.#limits = limits
    this.#lag = lag
    this.#share = new FairShare(nowMs)
  }

  get bytesInFlight(): number {
    return this.#bytes
  }

  /**
   * A ticket for a request whose length, where known, would fit right now, else QUOTA_EXCEEDED. A body
   * larger than the limit itself is not this class's to refuse: it is only counted as it comes.
   */
  open(tenant: string, contentLength: number): Ticket {
    if (this.#lag() >= 1) {
      throw new PipelineError(
        'QUOTA_EXCEEDED',
        'the sampler or the writer is too far behind; send again later',
      )
    }
    this.#refuseOver(tenant, contentLength)
    this.#refuseAboveShare(tenant, contentLength)
    let held = 0
    const hold = (bytes: number): void => {
      held += bytes
      this.#add(tenant, bytes)
    }
    const add = (bytes: number): void => {
      hold(bytes)
      if (bytes > 0) this.#share.add(tenant, bytes)
    }
    return {
      take: bytes => {
        this.#refuseOver(tenant, bytes)
        // Also in the middle: what was admitted just before would all come on top of what there is.
        this.#refuseAboveShare(tenant, bytes)
        add(bytes)
      },
      charge: add,
      hold,
      release: () => {
        this.#add(tenant, -held)
        held = 0
      },
    }
  }

  /** Whether a lag is another tenant's doing: then this one's answers are not held for it. */
  isBelowShare(tenant: string): boolean {
    return this.#share.isBelow(tenant)
  }

  get #isPressed(): boolean {
    const isFull = this.#bytes >= pressureFrom * this.#limits.inflightBytesMax
    return isFull || this.#lag() >= pressureFrom
  }

  /**
   * Whoever is above its share has the less room the longer the lag, and none from `pressureFrom` on:
   * with room up to there and none past it, floods would come in waves of all that fits.
   */
  #refuseAboveShare(tenant: string, bytes: number): void {
    const inFlight = (this.#byTenant.get(tenant) ?? 0) + bytes
    const room = this.#limits.inflightBytesPerTenantMax * (1 - this.#lag() / pressureFrom)
    if ((!this.#isPressed && inFlight <= room) || !this.#share.isAbove(tenant)) return
    throw new PipelineError(
      'QUOTA_EXCEEDED',
      'this tenant has taken more than its share of a receiver that is short of room; send again later',
    )
  }

  #refuseOver(tenant: string, bytes: number): void {
    const { inflightBytesMax, inflightBytesPerTenantMax } = this.#limits
    if (this.#bytes + bytes > inflightBytesMax) {
      throw new PipelineError(
        'QUOTA_EXCEEDED',
        `${inflightBytesMax} bytes are in flight (inflightBytesMax); send again later`,
      )
    }
    if ((this.#byTenant.get(tenant) ?? 0) + bytes > inflightBytesPerTenantMax) {
      throw new PipelineError(
        'QUOTA_EXCEEDED',
        `${inflightBytesPerTenantMax} bytes of this tenant are in flight (inflightBytesPerTenantMax); send again later`,
      )
    }
  }

  #add(tenant: string, bytes: number): void {
    this.#bytes += bytes
    const sum = (this.#byTenant.get(tenant) ?? 0) + bytes
    if (sum === 0) this.#byTenant.delete(tenant)
    else this.#byTenant.set(tenant, sum)
  }
}
