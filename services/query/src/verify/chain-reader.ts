import type { Bus } from '@winnow/bus'
import { Lru, PipelineError } from '@winnow/runtime'
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
  /** By offset of the chain's last record. */
  readonly #known = new Lru<ChainFacts, number>(spansMax)

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
      // It becomes the longer one: nobody asks for the shorter again.
      facts = this.#known.take(next)
      if (facts !== undefined) break
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
    this.#known.set(offset, facts, Math.max(facts.spans, spansMax / chainsMax))
    return facts
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
