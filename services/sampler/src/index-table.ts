import type { Verdict } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'

/** What is known of a trace without reading its last decision. */
export interface IndexEntry {
  /** Offset of the last counting decision. */
  readonly offset: number
  readonly revision: number
  readonly verdict: Verdict
  /** Log time of that decision; the entry's life counts from it. */
  readonly decidedAtMs: number
  /** Hash of the slices, evaluations and requests it knows; see fingerprint.ts. */
  readonly fingerprint: bigint
}

/** An entry and whose it is. Whoever is given one takes what it needs: the next is the same object. */
export interface KeyedIndexEntry extends IndexEntry {
  readonly tenant: string
  /** The trace id as four words, the first digits first. */
  readonly id: ArrayLike<number>
}

/**
 * (tenant, trace id) → the last counting decision, of one partition. Absence means never seen, so
 * nothing is ever evicted: an entry leaves when it has outlived its life, and where more live than the
 * limit the table refuses. Open addressing over typed arrays, at most three quarters full:
 *
 *   ids      │ 4 words of trace id │ tenant + 1; 0 is free │     20 bytes
 *   offsets, decidedAt, fingerprints                         24
 *   state    │ revision << 1 | keep                           4     → 48 bytes, 64 a trace when full
 */
export class IndexTable {
  readonly #tracesMax: number
  readonly #lifeMs: number
  readonly #seed: number
  readonly #tenants = new Map<string, number>()
  #size = 0
  #slots = 0
  #ids = new Uint32Array(0)
  #offsets = new Float64Array(0)
  #decidedAtMs = new Float64Array(0)
  #fingerprints = new BigUint64Array(0)
  #states = new Uint32Array(0)
  #newestMs = 0

  constructor(options: {
    readonly tracesMax: number
    readonly lifeMs: number
    /** 32 random bits: clients choose trace ids, and must not be able to choose their slots. */
    readonly seed: number
  }) {
    this.#seed = options.seed
    this.#tracesMax = options.tracesMax
    this.#lifeMs = options.lifeMs
    this.#allocate(slotsMin)
  }

  /** Entries held, those included whose life has ended and whose place was not needed yet. */
  get size(): number {
    return this.#size
  }

  get(tenant: string, traceId: string): IndexEntry | undefined {
    const number = this.#tenants.get(tenant)
    if (number === undefined) return undefined
    const slot = this.#find(this.#words(traceId), number)
    if (this.#ids[slot * idWords + 4] === 0) return undefined
    const state = this.#states[slot] as number
    return {
      offset: this.#offsets[slot] as number,
      revision: state >>> 1,
      verdict: (state & 1) === 1 ? 'keep' : 'drop',
      decidedAtMs: this.#decidedAtMs[slot] as number,
      fingerprint: this.#fingerprints[slot] as bigint,
    }
  }

  /** QUOTA_EXCEEDED when all places are taken by traces that are still in their life. */
  set(tenant: string, traceId: string, entry: IndexEntry): void {
    this.setById(tenant, this.#words(traceId), entry)
  }

  /** The same with the trace id as four words. */
  setById(tenant: string, id: ArrayLike<number>, entry: IndexEntry): void {
    this.#newestMs = Math.max(this.#newestMs, entry.decidedAtMs)
    const number = this.#tenants.get(tenant) ?? this.#tenants.size + 1
    this.#tenants.set(tenant, number)
    const words = this.#key
    if (id !== words) {
      words.set(id)
      this.#keyId = ''
    }
    let slot = this.#find(words, number)
    if (this.#ids[slot * idWords + 4] === 0) {
      if ((this.#size + 1) * 4 > this.#slots * 3 || this.#size >= this.#tracesMax) {
        this.#makeRoom()
        slot = this.#find(words, number)
      }
      this.#size++
      this.#ids.set(words, slot * idWords)
      this.#ids[slot * idWords + 4] = number
    }
    this.#offsets[slot] = entry.offset
    this.#decidedAtMs[slot] = entry.decidedAtMs
    this.#fingerprints[slot] = entry.fingerprint
    this.#states[slot] = ((entry.revision << 1) | (entry.verdict === 'keep' ? 1 : 0)) >>> 0
  }

  /**
   * All entries in the order of their slots. The table may be written to meanwhile: an entry then comes
   * as it was or as it is, and one that is new comes or does not.
   */
  *[Symbol.iterator](): Generator<KeyedIndexEntry> {
    const [ids, slots, offsets, times] = [this.#ids, this.#slots, this.#offsets, this.#decidedAtMs]
    const [fingerprints, states] = [this.#fingerprints, this.#states]
    const tenants = [...this.#tenants.keys()]
    const entry = { tenant: '', id: new Uint32Array(4), ...blank }
    for (let slot = 0; slot < slots; slot++) {
      const number = ids[slot * idWords + 4] as number
      if (number === 0) continue
      const state = states[slot] as number
      // A tenant that came later than the reading began.
      entry.tenant = tenants[number - 1] ?? ([...this.#tenants.keys()][number - 1] as string)
      for (let word = 0; word < 4; word++) entry.id[word] = ids[slot * idWords + word] as number
      entry.offset = offsets[slot] as number
      entry.revision = state >>> 1
      entry.verdict = (state & 1) === 1 ? 'keep' : 'drop'
      entry.decidedAtMs = times[slot] as number
      entry.fingerprint = fingerprints[slot] as bigint
      yield entry
    }
  }

  /** Leaves out what has outlived its life, then doubles if that was not enough. */
  #makeRoom(): void {
    const old = { ids: this.#ids, slots: this.#slots, offsets: this.#offsets }
    const [times, fingerprints, states] = [this.#decidedAtMs, this.#fingerprints, this.#states]
    const diedMs = this.#newestMs - this.#lifeMs
    let live = 0
    for (let from = 0; from < old.slots; from++) {
      if (old.ids[from * idWords + 4] !== 0 && (times[from] as number) >= diedMs) live++
    }
    if (live >= this.#tracesMax) {
      throw new PipelineError(
        'QUOTA_EXCEEDED',
        `the index holds ${live} traces, its limit; raise sampler.indexTracesMax (64 bytes each) or use more partitions`,
      )
    }
    let slots = slotsMin
    while ((live + 1) * 2 > slots) slots *= 2
    this.#allocate(slots)
    for (let from = 0; from < old.slots; from++) {
      const number = old.ids[from * idWords + 4] as number
      if (number === 0 || (times[from] as number) < diedMs) continue
      const words = old.ids.subarray(from * idWords, from * idWords + 4)
      const to = this.#find(words, number)
      this.#ids.set(words, to * idWords)
      this.#ids[to * idWords + 4] = number
      this.#offsets[to] = old.offsets[from] as number
      this.#decidedAtMs[to] = times[from] as number
      this.#fingerprints[to] = fingerprints[from] as bigint
      this.#states[to] = states[from] as number
    }
    this.#size = live
  }

  #allocate(slots: number): void {
    this.#slots = slots
    this.#ids = new Uint32Array(slots * idWords)
    this.#offsets = new Float64Array(slots)
    this.#decidedAtMs = new Float64Array(slots)
    this.#fingerprints = new BigUint64Array(slots)
    this.#states = new Uint32Array(slots)
  }

  /** The slot that holds the key, else the free one where it belongs. */
  #find(words: Uint32Array, number: number): number {
    const a = words[0] as number
    const b = words[1] as number
    const c = words[2] as number
    const d = words[3] as number
    let hash = Math.imul(this.#seed ^ a ^ Math.imul(b, 0x9e3779b1), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15) ^ c, 0xc2b2ae35)
    hash = Math.imul(hash ^ (hash >>> 13) ^ d ^ number, 0x27d4eb2f)
    let slot = (hash ^ (hash >>> 16)) & (this.#slots - 1)
    for (;;) {
      const at = slot * idWords
      const held = this.#ids[at + 4]
      if (held === 0) return slot
      if (
        held === number &&
        this.#ids[at] === a &&
        this.#ids[at + 1] === b &&
        this.#ids[at + 2] === c &&
        this.#ids[at + 3] === d
      ) {
        return slot
      }
      slot = (slot + 1) & (this.#slots - 1)
    }
  }

  readonly #key = new Uint32Array(4)
  #keyId = ''

  /** A trace is looked up several times in a row before the next one is. */
  #words(traceId: string): Uint32Array {
    if (traceId === this.#keyId) return this.#key
    this.#keyId = traceId
    for (let word = 0; word < 4; word++) {
      let value = 0
      for (let at = word * 8; at < word * 8 + 8; at++) {
        const code = traceId.charCodeAt(at)
        value = (value << 4) | (code < 0x3a ? code - 0x30 : code - 0x57)
      }
      this.#key[word] = value
    }
    return this.#key
  }
}

const blank = {
  offset: 0,
  revision: 0,
  verdict: 'drop' as Verdict,
  decidedAtMs: 0,
  fingerprint: 0n,
}

const idWords = 5
const slotsMin = 2_048
