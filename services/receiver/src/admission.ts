import { PipelineError } from '@winnow/runtime'

export interface AdmissionLimits {
  readonly inflightBytesMax: number
  readonly inflightBytesPerTenantMax: number
}

/** One request's share of the bytes in flight. */
export interface Ticket {
  /** Counts bytes that are about to be held. QUOTA_EXCEEDED where they do not fit; nothing is counted then. */
  take(bytes: number): void
  /** Counts bytes that are held already: what follows is refused instead. */
  charge(bytes: number): void
  /** Gives everything back. May be called twice. */
  release(): void
}

/**
 * Bytes that requests hold in memory, of all tenants and of each. It is what keeps memory flat: a
 * body is counted chunk by chunk as it comes, so that a client which only promises a large one holds
 * nothing back from the others.
 */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #lag: () => number
  readonly #byTenant = new Map<string, number>()
  #bytes = 0

  /** `lag`: how far the writer of this process is behind, 0 to 1; at 1 nothing is admitted. */
  constructor(limits: AdmissionLimits, lag: () => number = () => 0) {
    this.#limits = limits
    this.#lag = lag
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
      throw new PipelineError('QUOTA_EXCEEDED', 'the writer is too far behind; send again later')
    }
    this.#refuseOver(tenant, contentLength)
    let held = 0
    const add = (bytes: number): void => {
      held += bytes
      this.#add(tenant, bytes)
    }
    return {
      take: bytes => {
        this.#refuseOver(tenant, bytes)
        add(bytes)
      },
      charge: add,
      release: () => {
        this.#add(tenant, -held)
        held = 0
      },
    }
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
