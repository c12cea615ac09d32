import type { Bus } from '@winnow/bus'
import { type CountingState, countingStart, countRecord } from '@winnow/model'
import type { DecisionFacts } from '../decision-facts.ts'
import { countingFrom, type DecisionItem, decisionItem } from '../decision-item.ts'

/**
 * The counting decisions of one partition in order, one at a time: a reader that holds one back, until
 * the slices it names have been read, can look at it again. What another reader of this process has
 * parsed already may be offered, so that it is parsed once; whatever was not taken in time is read.
 */
export class DecisionTail {
  readonly #bus: Bus
  readonly #topic: string
  readonly #partition: number
  #state: CountingState = countingStart
  #next: number | undefined
  #read: readonly DecisionItem[] = []
  #readAt = 0
  #offered: DecisionItem[] = []
  #offeredAt = 0
  #offeredChars = 0
  #isFirst = true

  constructor(bus: Bus, topic: string, partition: number) {
    this.#bus = bus
    this.#topic = topic
    this.#partition = partition
  }

  offer(item: DecisionItem): void {
    // Before it has begun nothing is held: the backlog is read when its turn comes.
    if (this.#next === undefined) return
    const isFull = this.#offeredChars > offeredCharsMax
    const last = this.#offered.at(-1)
    if (isFull || (last !== undefined && last.offset + 1 !== item.offset)) this.#forgetOffered()
    if (isFull) return
    this.#offered.push(item)
    this.#offeredChars += charsOf(item)
  }

  /** Characters of text that wait for being taken. */
  get waitingChars(): number {
    return this.#offeredChars
  }

  /** The next counting decision below `end`, again and again until it is taken. */
  async peek(end: number): Promise<(DecisionItem & { record: DecisionFacts }) | undefined> {
    for (;;) {
      const item = await this.#item(end)
      if (item === undefined) return undefined
      const { record } = item
      const step = record === undefined ? undefined : countRecord(this.#state, item.offset, record)
      if (step?.counts && record?.kind === 'decision') return { ...item, record }
      this.#pass(item.offset, step?.state ?? this.#state)
    }
  }

  /** Passes what `peek` gave. */
  take(item: DecisionItem & { record: DecisionFacts }): void {
    this.#pass(item.offset, countRecord(this.#state, item.offset, item.record).state)
  }

  #pass(offset: number, state: CountingState): void {
    this.#state = state
    this.#next = offset + 1
  }

  async #item(end: number): Promise<DecisionItem | undefined> {
    if (this.#next === undefined) {
      this.#next = (await this.#bus.bounds(this.#topic, this.#partition)).first
    }
    if (this.#next >= end) return undefined
    return this.#fromOffered(this.#next) ?? this.#fromRead(this.#next) ?? this.#fromBus(this.#next)
  }

  #fromOffered(next: number): DecisionItem | undefined {
    // The first are read together: they say which claim was in force.
    if (this.#isFirst) return undefined
    // What was passed is let go of: under load there is always more, and the list would only grow.
    if (this.#offeredAt >= passedMax) {
      this.#offered = this.#offered.slice(this.#offeredAt)
      this.#offeredAt = 0
    }
    const offered = this.#offered
    while (this.#offeredAt < offered.length) {
      const item = offered[this.#offeredAt] as DecisionItem
      if (item.offset >= next) return item.offset === next ? item : undefined
      this.#offeredChars -= charsOf(item)
      this.#offeredAt++
    }
    this.#forgetOffered()
    return undefined
  }

  #fromRead(next: number): DecisionItem | undefined {
    while (this.#readAt < this.#read.length) {
      const item = this.#read[this.#readAt] as DecisionItem
      if (item.offset >= next) return item
      this.#readAt++
    }
    return undefined
  }

  async #fromBus(next: number): Promise<DecisionItem | undefined> {
    const where = `${this.#topic}/${this.#partition}`
    const batch = await this.#bus.read(this.#topic, this.#partition, next, readBytesMax, 0)
    this.#read = batch.records.map(({ offset, value }) => decisionItem(where, offset, value))
    this.#readAt = 0
    // Without state, or past a gap that may have held a claim, the log says by itself what counts.
    if (this.#isFirst || batch.gap !== undefined) this.#state = countingFrom(this.#read)
    this.#isFirst = false
    return this.#read[0]
  }

  #forgetOffered(): void {
    this.#offered = []
    this.#offeredAt = 0
    this.#offeredChars = 0
  }
}

/** The text of its slices, and about as much as the objects beside it take. */
function charsOf({ slices }: DecisionItem): number {
  return (slices?.length ?? 0) + 512
}

/** Bytes of one read. */
const readBytesMax = 1024 * 1024

/** Records that were passed and are still held, so that letting go of them costs little each. */
const passedMax = 256

/** Characters of text that wait for being taken in one partition; over it they are read again later. */
const offeredCharsMax = 8 * 1024 * 1024
