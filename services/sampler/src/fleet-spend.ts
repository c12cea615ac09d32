import type { Bus, NewRecord } from '@winnow/bus'
import type { VariantSpec } from './policy-file.ts'
import { armKey } from './rules.ts'
import { endedRecord, readSpendRecord, spendRecord } from './spend-record.ts'
import { type SpendEntry, VariantSpend } from './variant-spend.ts'

/**
 * Of a cap: what all samplers together keep without telling each other. What a process may keep before
 * it has told and listened is its partitions' part of it, one trace at least; so the fleet exceeds a
 * cap by this share at most, or by a trace a process where that is more.
 */
export const untoldShareMax = 0.02

const readBytesMax = 1024 * 1024

/**
 * What variants have used up of their daily caps over the whole fleet: the folds of the partitions held
 * here, and of the others what their owners have said on `control`. A process that holds all partitions
 * is exact and waits for nothing; any other tells and listens once it has used up its part.
 */
export class FleetSpend {
  readonly #bus: Bus
  /** Full name of `control`; all is said in its partition 0, so that all read it in one order. */
  readonly #topic: string
  readonly #held = new Map<number, readonly VariantSpend[]>()
  readonly #others = new Map<number, VariantSpend>()
  /** By partition held here, what was said last, as text. */
  readonly #said = new Map<number, string>()
  /** `until` of variants whose end is on record, by arm. */
  readonly #ended = new Map<string, string>()
  /** Traces kept by arm since the process last told and listened. */
  readonly #untold = new Map<string, number>()
  #partitions = 1
  #next = 0
  #isDue = true
  #exchange: Promise<void> | undefined

  constructor(bus: Bus, topic: string) {
    this.#bus = bus
    this.#topic = topic
  }

  /** Of all partitions, the share held here. */
  get heldShare(): number {
    return this.#held.size / this.#partitions
  }

  /** Whether a batch has to wait for an exchange before it goes on; for one under way too. */
  get isDue(): boolean {
    return this.#isDue || this.#exchange !== undefined
  }

  /** The partition is folded here: `spends` are what was kept, read back or not. */
  hold(partition: number, spends: readonly VariantSpend[]): void {
    this.#held.set(partition, spends)
    this.#others.delete(partition)
    this.#said.delete(partition)
    this.#isDue = true
  }

  /** It may be another's from now on, which is as far as it was here until that one says more. */
  release(partition: number): void {
    const spends = this.#held.get(partition)
    if (spends === undefined) return
    this.#held.delete(partition)
    this.#others.set(partition, copyOf(spends))
    this.#isDue = true
  }

  used(experiment: string, variant: string, nowMs: number): number {
    let used = 0
    for (const spends of this.#held.values()) {
      for (const spend of spends) used += spend.used(experiment, variant, nowMs)
    }
    for (const spend of this.#others.values()) used += spend.used(experiment, variant, nowMs)
    return used
  }

  /** A trace was kept under the cap. */
  took(experiment: string, variant: string, dailyCap: number): void {
    const arm = armKey(experiment, variant)
    const untold = (this.#untold.get(arm) ?? 0) + 1
    this.#untold.set(arm, untold)
    const own = this.#held.size
    if (own >= this.#partitions) return
    if (untold >= Math.max(1, Math.floor((untoldShareMax * dailyCap * own) / this.#partitions))) {
      this.#isDue = true
    }
  }

  /** Says what is new of the partitions held here, and reads what all have said up to then. */
  exchange(): Promise<void> {
    this.#exchange ??= this.#tellAndListen()
      .catch((error: unknown) => {
        this.#isDue = true
        throw error
      })
      .finally(() => {
        this.#exchange = undefined
      })
    return this.#exchange
  }

  /** Puts the end of each variant whose time has passed on record, unless somebody has. */
  async recordEnds(variants: readonly VariantSpec[], nowMs: number): Promise<VariantSpec[]> {
    const ended = variants.filter(({ experiment, variant, until }) => {
      const isOver = Date.parse(until) <= nowMs
      return isOver && this.#ended.get(armKey(experiment, variant)) !== until
    })
    if (ended.length === 0) return ended
    const records = ended.map(spec => {
      const { experiment, variant, until } = spec
      // An end at midnight is the end of the day before it.
      return endedRecord(spec, this.used(experiment, variant, Date.parse(until) - 1), nowMs)
    })
    await this.#bus.append(this.#topic, 0, records)
    for (const { experiment, variant, until } of ended) {
      this.#ended.set(armKey(experiment, variant), until)
    }
    return ended
  }

  async #tellAndListen(): Promise<void> {
    // What becomes due meanwhile stays due.
    this.#isDue = false
    this.#partitions = await this.#bus.partitionCount(this.#topic)
    const told = new Map(this.#untold)
    const texts = new Map<number, string>()
    const records: NewRecord[] = []
    for (const [partition, spends] of this.#held) {
      const entries = [...copyOf(spends).entries()]
      const text = JSON.stringify(entries)
      if (entries.length === 0 || this.#said.get(partition) === text) continue
      records.push(spendRecord(partition, entries))
      texts.set(partition, text)
    }
    if (records.length > 0) await this.#bus.append(this.#topic, 0, records)
    for (const [partition, text] of texts) this.#said.set(partition, text)
    // What others have said before this process spoke is what its next part is reckoned from.
    await this.#listen()
    for (const [arm, count] of told) this.#untold.set(arm, (this.#untold.get(arm) ?? 0) - count)
  }

  async #listen(): Promise<void> {
    const { first, end } = await this.#bus.bounds(this.#topic, 0)
    if (this.#next > end) this.#next = 0
    this.#next = Math.max(this.#next, first)
    while (this.#next < end) {
      const { records } = await this.#bus.read(this.#topic, 0, this.#next, readBytesMax, 1_000)
      const last = records.at(-1)
      // Holes of a compacted topic at its end are no records to wait for.
      if (last === undefined) return
      for (const record of records) this.#take(readSpendRecord(record))
      this.#next = last.offset + 1
    }
  }

  #take(record: ReturnType<typeof readSpendRecord>): void {
    if (record === undefined) return
    if (record.kind === 'variant-ended') {
      this.#ended.set(armKey(record.experiment, record.variant), record.until)
      return
    }
    if (this.#held.has(record.partition)) {
      this.#sayAgain(record.partition, record.spend)
      return
    }
    // What was kept stays kept: a former owner that speaks late knows less than was said already.
    const spend = this.#others.get(record.partition) ?? new VariantSpend()
    spend.raise(record.spend)
    this.#others.set(record.partition, spend)
  }

  /** A former owner spoke after the owner: the topic keeps the last record alone, for whoever comes later. */
  #sayAgain(partition: number, read: readonly SpendEntry[]): void {
    const said = this.#said.get(partition)
    if (said === undefined || !isLess(read, JSON.parse(said))) return
    this.#said.delete(partition)
    this.#isDue = true
  }
}

/** Whether something of `said` is less in `read`, or missing. */
function isLess(read: readonly SpendEntry[], said: readonly SpendEntry[]): boolean {
  return said.some(([day, arm, traces]) => {
    const found = read.find(entry => entry[0] === day && entry[1] === arm)
    return (found?.[2] ?? 0) < traces
  })
}

function copyOf(spends: readonly VariantSpend[]): VariantSpend {
  const sum = new VariantSpend()
  for (const spend of spends) for (const entry of spend.entries()) sum.plus(entry)
  return sum
}
