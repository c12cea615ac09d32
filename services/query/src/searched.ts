import type { DecisionHead } from '@winnow/model'
import { isRetryable, type Log, PipelineError } from '@winnow/runtime'

/** Where a decision was looked for. */
export interface Searched {
  /**
   * In the order in which they were asked; the last one has it, if any has. `log`: the decisions that
   * are remembered; `index`: the sampler's index of the last days; `ledger`: every day before; `hold`: what
   * is kept beyond all of them.
   */
  readonly tiers: readonly ('log' | 'hot' | 'index' | 'ledger' | 'hold')[]
  /** The oldest day, UTC, whose ledger was searched; null where none was. */
  readonly ledgerSince: string | null
  /** False where something is left: older days (ask on with `before=` that day), or what was unreadable. */
  readonly complete: boolean
  /** Keys of objects that could not be read; the log of the service says why. */
  readonly unreadable: readonly string[]
}

export interface Found {
  /** The last counting decision of the trace. */
  readonly decision: DecisionHead | undefined
  readonly searched: Searched
  /** Key of the segment of the ledger that has it, where it was found there. */
  readonly segment?: string
}

/** What one request has searched so far. */
export class Search {
  readonly tiers: Searched['tiers'][number][] = []
  readonly #unreadable = new Set<string>()
  readonly #log: Log
  ledgerSince: string | null = null
  isPartial = false

  constructor(log: Log) {
    this.#log = log
  }

  cannotRead(key: string): void {
    this.#unreadable.add(key)
    this.isPartial = true
  }

  hasNotRead(key: string): boolean {
    return this.#unreadable.has(key)
  }

  /** One bad object makes an answer incomplete, and says so; a store that is away makes none. */
  async readable<T>(key: string, read: () => Promise<T | undefined>): Promise<T | undefined> {
    try {
      return await read()
    } catch (error) {
      if (isRetryable(error) || !(error instanceof PipelineError)) throw error
      this.cannotRead(key)
      this.#log.error('query.object_unreadable', error, { key })
      return undefined
    }
  }

  found(decision: DecisionHead): Found {
    return { decision, searched: this.#searched(true) }
  }

  nothing(isAll: boolean): Found {
    return { decision: undefined, searched: this.#searched(isAll) }
  }

  #searched(isAll: boolean): Searched {
    const { tiers, ledgerSince } = this
    const unreadable = [...this.#unreadable]
    return { tiers, ledgerSince, complete: isAll && !this.isPartial, unreadable }
  }
}
