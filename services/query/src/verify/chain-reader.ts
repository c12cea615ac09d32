import type { Bus } from '@winnow/bus'
import { PipelineError } from '@winnow/runtime'
import { decisionItem } from '../decision-item.ts'
import { ChainFacts } from './chain-facts.ts'
import { NamedSlices } from './named-slices.ts'

/**
 * What the chains of one partition say. A trace that grows asks for the same chain again and again, and
 * then for that chain and one record more: so the last ones asked for are remembered.
 */
export class ChainReader {
  readonly #bus: Bus
  readonly #topic: string
  readonly #partition: number
  readonly #named = new NamedSlices()
  /** By offset of the chain's last record; asked for last, last. */
  readonly #known = new Map<number, ChainFacts>()

  constructor(bus: Bus, topic: string, partition: number) {
    this.#bus = bus
    this.#topic = topic
    this.#partition = partition
  }

  /** All slices of the record at `offset` and of the chain behind it. Undefined: part of it has left the log. */
  async at(offset: number): Promise<ChainFacts | undefined> {
    const texts: string[] = []
    let facts: ChainFacts | undefined
    for (let next: number | null = offset; next !== null; ) {
      facts = this.#known.get(next)
      if (facts !== undefined) {
        // It becomes the longer one: nobody asks for the shorter again.
        this.#known.delete(next)
        break
      }
      const record = await this.#fetch(next)
      if (record === undefined || texts.length === recordsMax) return undefined
      texts.push(record.slices)
      next = record.prev
    }
    facts ??= new ChainFacts()
    for (const text of texts.reverse()) {
      if (!this.#named.read(text)) return undefined
      facts.add(this.#named)
    }
    this.#remember(offset, facts)
    return facts
  }

  #remember(offset: number, facts: ChainFacts): void {
    this.#known.set(offset, facts)
    let spans = 0
    for (const one of this.#known.values()) spans += one.spans
    for (const [oldest, one] of this.#known) {
      if (oldest === offset || (this.#known.size <= chainsMax && spans <= spansMax)) break
      this.#known.delete(oldest)
      spans -= one.spans
    }
  }

  async #fetch(offset: number): Promise<{ slices: string; prev: number | null } | undefined> {
    try {
      const { value } = await this.#bus.fetch(this.#topic, this.#partition, offset)
      const { record, slices } = decisionItem(`${this.#topic}/${this.#partition}`, offset, value)
      if (record?.kind !== 'decision') return undefined
      return { slices: slices ?? '', prev: record.prev }
    } catch (error) {
      if (error instanceof PipelineError && error.code === 'OFFSET_GONE') return undefined
      throw error
    }
  }
}

/** Records of one chain: a series has at most 20,000 slices, and each record one that is new. */
const recordsMax = 20_000

/** Chains of a partition that are remembered, and spans in them, at some 20 bytes each. */
const chainsMax = 16
const spansMax = 1_000_000
